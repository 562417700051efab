/** Removes a folder with all that is in it, and nothing that is mounted there. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const limitMs = 300_000;

/**
 * Never crosses into another file system: a build that was killed may have left the host's `/proc` and `/dev` mounted in
 * its folder, and removing those would harm the host. Fails, with what is left, where something is mounted.
 */
export async function removeTree(folder: string): Promise<void> {
  await promisify(execFile)('rm', ['-rf', '--one-file-system', '--', folder], { timeout: limitMs });
}
