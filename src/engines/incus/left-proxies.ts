/**
 * The daemon runs a process of its own for each instance's control socket, and forgets it when it is killed while it
 * starts the instance: the next one starts another beside it. Such a process outlives its instance, and goes with it here.
 */
import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';

/** Ends those that lead to this socket of the host. To be called when the instance is gone: then nobody needs them. */
export async function endLeftProxies(controlSocket: string): Promise<void> {
  for (const pid of await readdir('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const argv = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
    if (!isProxyTo(argv, controlSocket)) continue;
    try {
      process.kill(Number(pid), 'SIGKILL');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // it has ended meanwhile
    }
  }
}

/** Whether a command line is that of the daemon's process for the socket: `lxd forkproxy -- … unix:SOCKET …`. */
export function isProxyTo(argv: readonly string[], controlSocket: string): boolean {
  const [program = '', verb] = argv;
  return (
    ['lxd', 'incusd'].includes(basename(program)) &&
    verb === 'forkproxy' &&
    argv.some((word) => word === `unix:${controlSocket}`)
  );
}
