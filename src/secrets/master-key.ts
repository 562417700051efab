/**
 * The master key, which opens the keys in the store and lies outside it: in a file of the installation, in a file in
 * memory that `up` fills from a passphrase, or in a systemd credential. The places are looked at in this order, and
 * the key that fits the store counts.
 */
import { scrypt } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PoolhouseError } from '../core/errors.ts';

export interface MasterKeyPlaces {
  /** A file that stays: 32 random bytes, mode 0600. */
  file: string;
  /** A file that is gone after a reboot: what a passphrase gave. */
  memoryFile: string;
  /** `$CREDENTIALS_DIRECTORY` of the unit, where there is one. */
  credentials: string | undefined;
}

export const credentialName = 'poolhouse-master-key';
const keyBytes = 32;
/** While the key is being changed, the new one lies beside the old one: a crash in between leaves both. */
const nextOf = (file: string) => `${file}.next`;

export interface FoundMasterKey {
  key: Buffer;
  path: string;
}

/** Every key that lies in any of the places. `HostNotReady` where one cannot be read. */
export async function findMasterKeys(places: MasterKeyPlaces): Promise<FoundMasterKey[]> {
  const paths = [places.file, nextOf(places.file), places.memoryFile, nextOf(places.memoryFile)];
  if (places.credentials !== undefined) paths.push(join(places.credentials, credentialName));
  const found: FoundMasterKey[] = [];
  for (const path of paths) {
    const key = await readKey(path);
    if (key !== undefined) found.push({ key, path });
  }
  return found;
}

/**
 * Completes a change that was cut off after the store was sealed anew, and clears away one that was cut off before.
 * @param used the path of the key that fits the store
 */
export async function settleMasterKey(places: MasterKeyPlaces, used: string): Promise<void> {
  for (const file of [places.file, places.memoryFile]) {
    if (used === nextOf(file)) await rename(nextOf(file), file);
    else await rm(nextOf(file), { force: true });
  }
}

/**
 * Writes a new key beside the old one, has `reseal` seal the store with it, and makes it the one. Keys that open nothing
 * any more are removed. A crash leaves both, and `settleMasterKey` goes on from there.
 * @param file undefined where the new key lies elsewhere already: in a credential
 */
export async function replaceMasterKey(
  places: MasterKeyPlaces,
  file: string | undefined,
  key: Buffer,
  reseal: () => Promise<void>,
): Promise<void> {
  if (file !== undefined) await writeFile(nextOf(file), key, { mode: 0o600, flush: true });
  await reseal();
  if (file !== undefined) await rename(nextOf(file), file);
  for (const other of [places.file, places.memoryFile]) if (other !== file) await rm(other, { force: true });
}

/** 32 bytes of a passphrase; slow on purpose (half a second). The salt keeps two installations' keys apart. */
export async function keyOfPassphrase(passphrase: string, installation: string): Promise<Buffer> {
  const options = { N: 2 ** 17, r: 8, p: 1, maxmem: 2 ** 28 };
  return new Promise((resolve, reject) => {
    scrypt(passphrase.normalize('NFC'), `poolhouse ${installation}`, keyBytes, options, (error, key) => {
      if (error === null) resolve(key);
      else reject(error);
    });
  });
}

/** `HostNotReady` where there is none. */
export async function readMasterKey(path: string): Promise<Buffer> {
  const key = await readKey(path);
  if (key === undefined) throw new PoolhouseError('HostNotReady', `There is no key in ${path}.`);
  return key;
}

async function readKey(path: string): Promise<Buffer | undefined> {
  const key = await readFile(path).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new PoolhouseError('HostNotReady', `${path} cannot be read: ${(error as Error).message}`, { cause: error });
  });
  if (key === undefined || key.length === 0) return undefined;
  if (key.length === keyBytes) return key;
  throw new PoolhouseError(
    'InvalidConfiguration',
    `${path} does not hold a master key: that is ${keyBytes} bytes, and this has ${key.length}. (openssl rand ${keyBytes} makes one.)`,
  );
}
