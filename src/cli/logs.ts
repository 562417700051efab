import { open, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Command } from 'commander';
import { PoolhouseError } from '../core/errors.ts';
import { runtimeFolderOf } from '../core/home.ts';
import { logLevels, type LogLevel } from '../core/log-levels.ts';
import { readInstallation } from '../host/installations.ts';
import { askControl } from '../host/local-api.ts';
import { describeLogLine, isAtLeast, logDocument, mergeLogs } from './log-lines.ts';
import { plainText } from './plain-text.ts';
import type { Shared } from './shared.ts';
import { UsageError } from './usage-error.ts';

interface LogsOptions {
  follow?: boolean;
  lines: string;
  level?: string;
  json?: boolean;
}

const pollDelay = 300;
const processes = ['control', 'gateway'];
const newline = 10;
const mostRead = 32 * 2 ** 20;
const mostAtOnce = 2 ** 20;

export function logsCommand({ home, signal }: Shared): Command {
  return new Command('logs')
    .description('show what happened, newest last')
    .argument('[of]', 'control, gateway, fileserver, or the name of an instance; both processes without it')
    .option('-f, --follow', 'go on showing what comes')
    .option('-n, --lines <count>', 'how many lines', '50')
    .option('--level <level>', `only what is as grave or graver: ${logLevels.join(', ')}`)
    .option('--json', 'print one JSON document, a list; with --follow one document a line')
    .addHelpText(
      'after',
      '\nExamples:\n  poolhouse logs\n  poolhouse logs control -f\n  poolhouse logs --level warn\n  poolhouse logs teampool000000 -n 200',
    )
    .action(async (of: string | undefined, options: LogsOptions) => {
      const count = Number(options.lines);
      if (!Number.isInteger(count) || count < 1 || count > 100_000)
        throw new UsageError(`'${options.lines}' is not a number of lines.`);
      const least = logLevels.find((one) => one === options.level);
      if (options.level !== undefined && least === undefined)
        throw new UsageError(`'${options.level}' is not a level: ${logLevels.join(', ')}.`);
      const installation = await readInstallation(home);
      if (installation === undefined)
        throw new PoolhouseError(
          'HostNotReady',
          `There is no installation in ${home.folder} yet. 'poolhouse up' makes one.`,
        );
      const following = options.follow === true;
      const show = (lines: readonly string[], document: (line: string) => object, words: (line: string) => string) => {
        if (options.json !== true) process.stdout.write(lines.map((line) => `${words(line)}\n`).join(''));
        else if (following) process.stdout.write(lines.map((line) => `${JSON.stringify(document(line))}\n`).join(''));
        else process.stdout.write(`${JSON.stringify(lines.map(document), null, 2)}\n`);
      };
      if (of !== undefined && !processes.includes(of)) {
        const run = runtimeFolderOf(home, installation.id, process.getuid?.() === 0);
        const showJournal = (lines: readonly string[]) => {
          show(lines, (line) => ({ instance: of, msg: line }), plainText);
        };
        return followJournal(
          { adminSocket: run.adminSocket, instance: of, least },
          count,
          following,
          showJournal,
          signal,
        );
      }
      const files = (of === undefined ? processes : [of]).map((name) => join(home.logs, `${name}.log`));
      const wanted = (lines: readonly string[]) =>
        least === undefined ? lines : lines.filter((line) => isAtLeast(line, least));
      const showLog = (lines: readonly string[]) => {
        show(wanted(lines), logDocument, describeLogLine);
      };
      const tails = await Promise.all(files.map(readTail));
      showLog(wanted(mergeLogs(tails.map((tail) => tail.lines))).slice(-count));
      if (following)
        await Promise.all(tails.map((tail, index) => follow(files[index] ?? '', tail.end, showLog, signal)));
    });
}

async function followJournal(
  { adminSocket, instance, least }: { adminSocket: string; instance: string; least: LogLevel | undefined },
  count: number,
  following: boolean,
  show: (lines: readonly string[]) => void,
  signal: AbortSignal,
): Promise<void> {
  const path = `/v1/instances/${encodeURIComponent(instance)}/journal`;
  const read = async (lines: number) =>
    (await askControl(adminSocket, `${path}?lines=${lines}${least === undefined ? '' : `&level=${least}`}`, 60_000))
      .split('\n')
      .filter((line) => line !== '');
  let seen = await read(count);
  show(seen);
  while (following) {
    try {
      await sleep(1_000, undefined, { signal });
    } catch {
      return; // Ctrl-C is how it ends
    }
    const now = await read(500);
    const last = seen.at(-1);
    const from = last === undefined ? 0 : now.lastIndexOf(last) + 1;
    show(now.slice(from));
    if (now.length > 0) seen = now;
  }
}

/** The lines at the end of a file, and where it ended. */
async function readTail(file: string): Promise<{ lines: string[]; end: number }> {
  const opened = await open(file, 'r').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined; // has not run yet
    throw new PoolhouseError('HostNotReady', `${file} cannot be read. Run this as the user who owns it.`, {
      cause: error,
    });
  });
  if (opened === undefined) return { lines: [], end: 0 };
  try {
    const { size } = await opened.stat();
    const start = Math.max(0, size - mostRead);
    const { buffer, bytesRead } = await opened.read(Buffer.alloc(size - start), 0, size - start, start);
    const text = buffer.subarray(0, bytesRead);
    // Lines that are whole: the first may be cut, the last still be written.
    const whole = text.subarray(start === 0 ? 0 : text.indexOf(newline) + 1, text.lastIndexOf(newline) + 1);
    const lines = whole.toString('utf8').split('\n');
    return { lines: lines.filter((line) => line.trim() !== ''), end: start + text.lastIndexOf(newline) + 1 };
  } finally {
    await opened.close();
  }
}

/** Shows what is added to a file; begins anew when it is replaced or cut. Ends at Ctrl-C. */
async function follow(
  file: string,
  end: number,
  show: (lines: readonly string[]) => void,
  signal: AbortSignal,
): Promise<void> {
  let at = end;
  while (!signal.aborted) {
    await sleep(pollDelay, undefined, { signal }).catch(() => undefined);
    const size = (await stat(file).catch(() => undefined))?.size ?? 0;
    if (size < at) at = 0;
    if (size === at) continue;
    const opened = await open(file, 'r');
    const buffer = Buffer.alloc(Math.min(size - at, mostAtOnce));
    const { bytesRead } = await opened.read(buffer, 0, buffer.length, at);
    await opened.close();
    const text = buffer.subarray(0, bytesRead);
    const whole = text.lastIndexOf(newline) + 1;
    if (whole === 0 && bytesRead < mostAtOnce) continue; // a line that is still being written
    const taken = whole === 0 ? bytesRead : whole;
    at += taken;
    const lines = text.subarray(0, taken).toString('utf8').split('\n');
    show(lines.filter((line) => line !== ''));
  }
}
