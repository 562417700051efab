/**
 * Leaves root for good. Called when every module is loaded (the program's own files need not be readable afterwards) and
 * before the first connection is accepted.
 */
import { execFileSync } from 'node:child_process';
import { PoolhouseError } from '../core/errors.ts';

/** Becomes this user, with its groups and no others. `HostNotReady` where there is no such user, or we are not root. */
export function dropPrivileges(user: string): void {
  const { getuid, setuid, setgid, setgroups } = process;
  if (getuid === undefined || setuid === undefined || setgid === undefined || setgroups === undefined) {
    throw new PoolhouseError('HostNotReady', '--user needs a system with POSIX users.');
  }
  const [uid = NaN] = idsOf('-u', user);
  const [gid = NaN] = idsOf('-g', user);
  if (getuid() === uid) return;
  if (getuid() !== 0) {
    throw new PoolhouseError(
      'HostNotReady',
      `Only root can become '${user}'. Start the gateway as root, or as that user without --user.`,
    );
  }
  setgroups(idsOf('-G', user));
  setgid(gid);
  setuid(uid);
  // A gateway that believes itself unprivileged and is not would be worse than one that does not start.
  if (getuid() !== uid || process.geteuid?.() !== uid || process.getgid?.() !== gid) {
    throw new PoolhouseError('InternalServerError', `The gateway could not become '${user}'.`);
  }
}

/** Asks the system's own name service, which knows users that `/etc/passwd` does not. */
function idsOf(question: '-u' | '-g' | '-G', user: string): number[] {
  try {
    const text = execFileSync('id', [question, '--', user], { encoding: 'utf8', stdio: 'pipe', timeout: 10_000 });
    return text.trim().split(' ').map(Number);
  } catch (cause) {
    throw new PoolhouseError(
      'HostNotReady',
      `There is no user '${user}' to run the gateway as. Create it, or give another with --user.`,
      { cause },
    );
  }
}
