/** systemd's own command, and files of units. */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { PoolhouseError } from '../../core/errors.ts';
import { runCommand, type CommandResult } from '../run-command.ts';
import type { ProgramState } from './supervision.ts';

const limit = 60_000;

export function systemctl(...argv: string[]): Promise<CommandResult> {
  return runCommand('systemctl', ['--no-ask-password', ...argv], { timeoutMs: limit });
}

/** `HostNotReady` with what systemd says, where it fails. */
export async function mustSystemctl(...argv: string[]): Promise<void> {
  const { exitCode, stderr } = await systemctl(...argv);
  if (exitCode === 0) return;
  throw new PoolhouseError(
    'HostNotReady',
    `systemctl ${argv.join(' ')} failed: ${stderr.trim()}\nMore: systemctl status ${argv.at(-1) ?? ''}`,
  );
}

export async function unitState(unit: string): Promise<ProgramState & { active: string }> {
  const { stdout } = await systemctl('show', '--property=ActiveState,MainPID,NRestarts', unit);
  const value = (key: string) => new RegExp(`^${key}=(.*)$`, 'm').exec(stdout)?.[1] ?? '';
  const pid = Number(value('MainPID'));
  const active = value('ActiveState');
  return {
    pid: pid > 0 ? pid : undefined,
    failing: active === 'failed' || Number(value('NRestarts')) >= 2,
    active,
  };
}

/** Nothing where it is so already. */
export async function writeWhole(file: string, text: string): Promise<void> {
  if ((await readFile(file, 'utf8').catch(() => undefined)) === text) return;
  await mkdir(dirname(file), { recursive: true });
  await writeFile(`${file}.new`, text, { mode: 0o644 });
  await rename(`${file}.new`, file);
}
