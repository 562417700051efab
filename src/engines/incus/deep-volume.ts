/**
 * A volume that the daemon cannot delete. It walks through all of it by paths, to find subvolumes, and whoever writes there can nest folders
 * until a path is longer than any may be. The file system needs no path: a subvolume goes by its number, with all that is in it.
 */
import { dirname, join } from 'node:path';
import { createBtrfs } from './btrfs.ts';
import { DaemonError } from './rest-client.ts';

/** True of what the daemon says of such a volume. */
export function isTooDeep(error: unknown): boolean {
  return error instanceof DaemonError && /file name too long/i.test(error.message);
}

/** Removes what is in the volume's place. The daemon, asked again, then forgets it. Only for a volume that is to be deleted. */
export async function removeDeepVolume(
  socketPath: string,
  volume: { pool: string; kind: 'containers' | 'custom'; project: string; name: string },
  signal: AbortSignal,
): Promise<void> {
  const btrfs = createBtrfs(join(dirname(socketPath), 'storage-pools', volume.pool));
  const own = `${volume.kind}/${volume.project}_${volume.name}`;
  const found = (await btrfs.list(signal)).filter(({ path }) => path === own || path.startsWith(`${own}/`));
  // Those within others first.
  for (const { id } of found.toSorted((one, other) => other.path.length - one.path.length)) {
    await btrfs.removeById(id, signal);
    await btrfs.removeGroup(`0/${String(id)}`, signal).catch(() => undefined); // there is none where nothing is counted
  }
}
