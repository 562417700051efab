import { open, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { PoolhouseError } from '../core/errors.ts';
import { runtimeFolderOf, type Home } from '../core/home.ts';
import { readInstallation } from '../host/installations.ts';
import { askControl } from '../host/local-api.ts';
import { describeLogLine, timeOf } from './log-lines.ts';
import type { Shared } from './shared.ts';
import { UsageError } from './usage-error.ts';

const pollDelay = 300;
const processes = ['control', 'gateway'];

export function logsCommand({ home, signal }: Shared): Command {
  return new Command('logs')
    .description('show what happened, newest last')
    .argument('[of]', 'control, gateway, or the name of an instance; both processes without it')
    .option('-f, --follow', 'go on showing what comes')
    .option('-n, --lines <count>', 'how many lines', '50')
    .option('--json', 'print the lines as they are written, one JSON document a line')
    .addHelpText(
      'after',
      '\nExamples:\n  poolhouse logs\n  poolhouse logs control -f\n  poolhouse logs teampool000000 -n 200',
    )
    .action(async (of: string | undefined, options: { follow?: boolean; lines: string; json?: boolean }) => {
      const count = Number(options.lines);
      if (!Number.isInteger(count) || count < 1 || count > 100_000)
        throw new UsageError(`'${options.lines}' is not a number of lines.`);
      const show = (line: string) => process.stdout.write(`${options.json === true ? line : describeLogLine(line)}\n`);
      if (of !== undefined && !processes.includes(of))
        return showJournal(home, of, count, options.follow === true, options.json === true, signal);
      const files = (of === undefined ? processes : [of]).map((name) => join(home.logs, `${name}.log`));
      const lines = (
        await Promise.all(files.map(async (file) => (await readFile(file, 'utf8').catch(() => '')).split('\n')))
      )
        .flat()
        .filter((line) => line.trim() !== '');
      for (const line of lines.toSorted((a, b) => timeOf(a) - timeOf(b)).slice(-count)) show(line);
      if (options.follow === true) await Promise.all(files.map((file) => follow(file, show, signal)));
    });
}

async function showJournal(
  home: Home,
  instance: string,
  count: number,
  following: boolean,
  json: boolean,
  signal: AbortSignal,
): Promise<void> {
  const installation = await readInstallation(home);
  if (installation === undefined)
    throw new PoolhouseError(
      'HostNotReady',
      `There is no installation in ${home.folder} yet. 'poolhouse up' makes one.`,
    );
  const run = runtimeFolderOf(home, installation.id, process.getuid?.() === 0);
  const read = async (lines: number) =>
    (await askControl(run.adminSocket, `/v1/instances/${encodeURIComponent(instance)}/journal?lines=${lines}`, 60_000))
      .split('\n')
      .filter((line) => line !== '');
  const show = (line: string) => process.stdout.write(`${json ? JSON.stringify({ instance, msg: line }) : line}\n`);
  let seen = await read(count);
  seen.forEach(show);
  while (following && !signal.aborted) {
    await sleep(1_000, undefined, { signal });
    const now = await read(500);
    const last = seen.at(-1);
    const from = last === undefined ? 0 : now.lastIndexOf(last) + 1;
    now.slice(from).forEach(show);
    if (now.length > 0) seen = now;
  }
}

/** Shows what is added to a file; begins anew when it is replaced or cut. Ends at Ctrl-C. */
async function follow(file: string, show: (line: string) => void, signal: AbortSignal): Promise<void> {
  let at = (await stat(file).catch(() => undefined))?.size ?? 0;
  let rest = '';
  while (!signal.aborted) {
    await sleep(pollDelay, undefined, { signal }).catch(() => undefined);
    const size = (await stat(file).catch(() => undefined))?.size ?? 0;
    if (size < at) at = 0;
    if (size === at) continue;
    const opened = await open(file, 'r');
    const buffer = Buffer.alloc(Math.min(size - at, 1_048_576));
    const { bytesRead } = await opened.read(buffer, 0, buffer.length, at);
    await opened.close();
    at += bytesRead;
    const lines = (rest + buffer.subarray(0, bytesRead).toString('utf8')).split('\n');
    rest = lines.pop() ?? '';
    lines.filter((line) => line !== '').forEach(show);
  }
}
