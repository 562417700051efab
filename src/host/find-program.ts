/** Where programs are: also in the folders of administration, which are not in everybody's PATH. */
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';

/** Where programs of the system are. */
export const systemFolders = [
  '/usr/local/sbin',
  '/usr/local/bin',
  '/usr/sbin',
  '/usr/bin',
  '/sbin',
  '/bin',
  '/snap/bin',
  '/usr/libexec/incus',
  '/opt/incus/bin',
];

/** A PATH for programs that are started by us. */
export function programPath(): string {
  return [process.env['PATH'] ?? '', ...systemFolders].filter((folder) => folder !== '').join(delimiter);
}

/** The file of a program; undefined where it is not installed. */
export async function findProgram(name: string): Promise<string | undefined> {
  for (const folder of programPath().split(delimiter)) {
    const file = join(folder, name);
    const runs = await access(file, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (runs) return file;
  }
  return undefined;
}
