/**
 * The unprivileged account of the gateway, and of helpers that touch what strangers send. All installations of a machine
 * share it; nothing on disk belongs to it, so it may go with the last of them.
 */
import { PoolhouseError } from '../core/errors.ts';
import { runCommand } from './run-command.ts';

export const serviceUser = 'poolhouse';
/** By this an account is known to be one that we made: one of the same name may be somebody's. */
const comment = 'Poolhouse gateway';
/** What `userdel` says of an account under which something runs. */
const inUse = 8;

export async function ensureServiceUser(signal: AbortSignal): Promise<void> {
  if ((await runCommand('getent', ['passwd', serviceUser], { signal })).exitCode === 0) return;
  const result = await runCommand(
    'useradd',
    [
      '--system',
      '--user-group',
      '--no-create-home',
      '--home-dir',
      '/nonexistent',
      '--shell',
      '/usr/sbin/nologin',
      '--comment',
      comment,
      serviceUser,
    ],
    { signal },
  );
  if (result.exitCode !== 0)
    throw new PoolhouseError(
      'HostNotReady',
      `The system account '${serviceUser}' could not be made: ${result.stderr.trim()}`,
    );
}

/** Removes the account where we made it and nothing runs under it. @returns whether it did */
export async function removeServiceUser(signal: AbortSignal): Promise<boolean> {
  const { stdout } = await runCommand('getent', ['passwd', serviceUser], { signal });
  if (stdout.trim().split(':')[4] !== comment) return false;
  const result = await runCommand('userdel', [serviceUser], { timeoutMs: 20_000, signal });
  if (result.exitCode === inUse) return false;
  if (result.exitCode !== 0)
    throw new PoolhouseError(
      'HostNotReady',
      `The system account '${serviceUser}' could not be removed: ${result.stderr.trim()}`,
    );
  return true;
}
