/** Which files of a home belong into a backup. What is secret in them is sealed; the key that opens it is none of them. */
import { lstat, readdir } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Config } from '../../core/config.ts';
import { PoolhouseError } from '../../core/errors.ts';
import type { Home } from '../../core/home.ts';
import { isPlainName } from '../../files/plain-tar.ts';

/** Of a recipe's folder: what is larger is no recipe. */
const largestFile = 2 ** 30;

export interface HomeFile {
  /** From the home on. */
  name: string;
  path: string;
}

/**
 * All but the store, in an order that matters: certificates are read before the store is copied, so that the key of each is in the copy.
 * Links are passed over: what they lead to is not the home's.
 */
export async function findHomeFiles(home: Home): Promise<HomeFile[]> {
  const found: HomeFile[] = [];
  async function take(path: string): Promise<void> {
    const name = relative(home.folder, path).split('\\').join('/');
    const state = await lstat(path).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    });
    if (state?.isDirectory() === true) {
      for (const inner of (await readdir(path)).toSorted()) await take(join(path, inner));
    } else if (state?.isFile() === true && mayGoIn(name)) {
      if (!isPlainName(name) || state.size > largestFile)
        throw new PoolhouseError(
          'OperationNotAllowed',
          `${path} does not fit into a backup: its name is odd, or it is larger than 1 GiB. Rename it, or move it elsewhere.`,
        );
      found.push({ name, path });
    }
  }
  for (const path of [home.installation, home.config, home.catalogue, home.certificates, home.recipes])
    await take(path);
  return found;
}

/**
 * Of certificates only these: private keys lie in the store, sealed, and what an older release left of them beside, or what is just being
 * written, stays out. Pure.
 */
export function mayGoIn(name: string): boolean {
  return (
    ['installation.json', 'config.json', 'catalogue.json', 'store.sqlite'].includes(name) ||
    /^certificates\/[^/]+\.pem$/.test(name) ||
    /^recipes\/./.test(name)
  );
}

/** Files that the configuration names: the operator's own, which lie where the operator wants them. Pure. */
export function filesElsewhere(config: Config): string[] {
  return [
    config.tlsCertificateFile,
    config.tlsKeyFile,
    ...config.hostCertificateFiles,
    config.smtp?.passwordFile,
    ...Object.values(config.mirrors),
  ].filter((file) => file !== undefined);
}
