/** Supervision by systemd: two units and one file of tmpfiles.d, named after the installation, and nothing that runs besides. */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PoolhouseError } from '../../core/errors.ts';
import type { RuntimeFolder } from '../../core/home.ts';
import { programFiles } from '../../core/program-files.ts';
import { runCommand, type CommandResult } from '../run-command.ts';
import type { ProgramName, ProgramState, Supervision, SupervisionParts } from './supervision.ts';
import { accountOf, markOfUnit, renderRuntimePaths, renderUnit, runtimePaths, unitName } from './units.ts';

export interface SystemdParts extends SupervisionParts {
  run: RuntimeFolder;
  /** What a release before this one, or this machine without systemd, may have left running. */
  own: Supervision;
}

/** Control first: connections live through a gateway that waits for it. */
const names = ['control', 'gateway'] as const;
const stopLimit = 60_000;

export function createSystemdSupervision(parts: SystemdParts): Supervision {
  const { home, run, installation, own } = parts;
  const unitOf = (name: ProgramName) => unitName(installation.id, name);
  const fileOf = (name: ProgramName) => `/etc/systemd/system/${unitOf(name)}`;
  const runtimeFile = `/etc/tmpfiles.d/poolhouse-${installation.id}.conf`;
  const units = names.map(unitOf);

  async function stateOf(name: ProgramName): Promise<ProgramState & { active: string }> {
    const { stdout } = await systemctl('show', '--property=ActiveState,MainPID,NRestarts', unitOf(name));
    const value = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(stdout)?.[1] ?? '';
    const pid = Number(value('MainPID'));
    const active = value('ActiveState');
    return {
      pid: pid > 0 ? pid : undefined,
      failing: active === 'failed' || Number(value('NRestarts')) >= 2,
      active,
    };
  }

  async function stop(until: 'start' | 'boot'): Promise<ProgramName[]> {
    const stopped = await own.stop(until);
    for (const name of names.toReversed()) {
      const { pid, active } = await stateOf(name);
      // Those that are not there cannot be disabled: then there is nothing to be done.
      if ((await readFile(fileOf(name)).catch(() => undefined)) === undefined && active === 'inactive') continue;
      await must(...(until === 'boot' ? ['stop'] : ['disable', '--now']), unitOf(name));
      if (pid !== undefined && !stopped.includes(name)) stopped.push(name);
    }
    return stopped;
  }

  return {
    kind: 'systemd',

    async start(programs, progress) {
      await own.stop('start');
      const programFolders = [...new Set([programFiles.root, dirname(process.execPath)])];
      const texts = names.map((name) => ({
        name,
        text: renderUnit(name, { home, run, programFolders, programs }),
      }));
      // Ended before the file is another: whoever is cut off in between finds that it differs still.
      for (const { name, text } of texts) {
        const before = await readFile(fileOf(name), 'utf8').catch(() => '');
        if (markOfUnit(before) === markOfUnit(text) || (await stateOf(name)).pid === undefined) continue;
        await progress.step(`${name} ends, to begin again as it is now`, () => must('stop', unitOf(name)));
      }
      await writeWhole(runtimeFile, renderRuntimePaths(runtimePaths(run, accountOf(installation.engine, true))));
      for (const { name, text } of texts) await writeWhole(fileOf(name), text);
      if (await needsReload()) await must('daemon-reload');
      await systemctl('reset-failed', ...units); // where one has failed: the count begins anew
      await must('enable', '--now', ...units);
    },

    stop,

    async remove() {
      await own.remove();
      await stop('start');
      const files = names.flatMap((name) => [fileOf(name), `${fileOf(name)}.d`]); // an operator's drop-ins too
      for (const file of [...files, runtimeFile]) await rm(file, { recursive: true, force: true });
      await must('daemon-reload');
      await systemctl('reset-failed', ...units);
    },

    async state() {
      const [control, gateway] = await Promise.all([stateOf('control'), stateOf('gateway')]);
      return { control, gateway };
    },
  };

  /** An operator's drop-in is there that systemd has not read. */
  async function needsReload(): Promise<boolean> {
    return (await systemctl('show', '--property=NeedDaemonReload', ...units)).stdout.includes('=yes');
  }
}

function systemctl(...argv: string[]): Promise<CommandResult> {
  return runCommand('systemctl', ['--no-ask-password', ...argv], { timeoutMs: stopLimit });
}

async function must(...argv: string[]): Promise<void> {
  const { exitCode, stderr } = await systemctl(...argv);
  if (exitCode === 0) return;
  throw new PoolhouseError(
    'HostNotReady',
    `systemctl ${argv.join(' ')} failed: ${stderr.trim()}\nMore: systemctl status ${argv.at(-1) ?? ''}`,
  );
}

/** Nothing where it is so already. */
async function writeWhole(file: string, text: string): Promise<void> {
  if ((await readFile(file, 'utf8').catch(() => undefined)) === text) return;
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.new`, text, { mode: 0o644 });
  await rename(`${file}.new`, file);
}
