/**
 * What is left of a volume when the daemon was killed while it made it: an empty folder in its place. The daemon refuses
 * to delete that, because it is no volume, and with it the instance; without the folder it deletes both.
 */
import { rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';

/** True when such a folder was there, and is gone now. Nothing that holds anything is ever removed. */
export async function removeEmptyVolume(
  socketPath: string,
  volume: { pool: string; kind: 'containers' | 'custom'; project: string; name: string },
): Promise<boolean> {
  const folder = join(
    dirname(socketPath),
    'storage-pools',
    volume.pool,
    volume.kind,
    `${volume.project}_${volume.name}`,
  );
  return rmdir(folder).then(
    () => true,
    () => false,
  );
}
