/** Opens what is secret at the start of control: finds the master key that fits the store, and takes in older files. */
import { randomBytes } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { Home } from '../core/home.ts';
import { PoolhouseError } from '../core/errors.ts';
import type { Clock, EpochMillis } from '../core/time.ts';
import type { KeptSecrets } from './ssh-identity.ts';
import type { PrivateKeys } from '../secrets/certificates.ts';
import { masterKeyName, masterKeyNameOf, openKeyring } from '../secrets/keyring.ts';
import {
  credentialName,
  findMasterKeys,
  replaceMasterKey,
  settleMasterKey,
  type FoundMasterKey,
  type MasterKeyPlaces,
} from '../secrets/master-key.ts';
import { createSecrets, type InstallationSecret, type Secrets } from '../secrets/secrets.ts';
import type { Store } from '../store/store.ts';

const lookForKeyEvery = 250;

export interface OpenSecrets {
  secrets: Secrets;
  clientSecret: string;
  privateKeys: PrivateKeys & KeptSecrets;
  /** Seals everything under another master key, which is kept at `path`; undefined where it lies elsewhere already. */
  changeMasterKey: (key: Buffer, path: string | undefined) => Promise<void>;
}

export async function openSecrets(
  store: Store,
  home: Home,
  places: MasterKeyPlaces,
  now: () => EpochMillis,
): Promise<OpenSecrets> {
  const found = await findMasterKeys(places);
  if (found.length === 0) {
    throw new PoolhouseError(
      'HostNotReady',
      `The master key of this installation is nowhere: not in ${places.file}, not from a passphrase ('poolhouse up' asks for it), not in the credential '${credentialName}' of the unit.`,
    );
  }
  const opened = await openKeyring(
    store,
    found.map((one) => one.key),
    now(),
  );
  let masterKey = opened.masterKey;
  await settleMasterKey(places, found.find((one) => one.key === masterKey)?.path ?? '');
  const secrets = createSecrets(opened.keyring);
  const keep = (name: InstallationSecret, value: string) =>
    store.transaction((tx) => secrets.keep(tx, name, value, now()));

  /** What was once a file of its own. */
  async function takeIn(file: string, name: InstallationSecret): Promise<void> {
    const text = await readFile(file, 'utf8').catch(() => undefined);
    if (text === undefined) return;
    if ((await secrets.kept(store.db, name)) === undefined) await keep(name, text.trim());
    await rm(file);
  }
  await takeIn(join(home.secrets, 'client-secret'), 'client-secret');
  await takeIn(join(home.certificates, 'ca.key'), 'ca.key');
  await takeIn(join(home.certificates, 'server.key'), 'server.key');

  let clientSecret = await secrets.kept(store.db, 'client-secret');
  if (clientSecret === undefined) {
    clientSecret = randomBytes(24).toString('base64url');
    await keep('client-secret', clientSecret);
  }
  return {
    secrets,
    clientSecret,
    privateKeys: { read: (name) => secrets.kept(store.db, name), write: keep },
    async changeMasterKey(key, path) {
      if (path !== undefined && path !== places.file && path !== places.memoryFile)
        throw new PoolhouseError('InvalidParameter', `A master key cannot be kept at ${path}.`);
      await replaceMasterKey(places, path, key, () => secrets.rotate(store, { old: masterKey, new: key }, now()));
      masterKey = key;
    },
  };
}

/** Waits for the passphrase: after a start of the machine nobody has asked for it yet. `up` does, and control goes on then. */
export async function untilPassphrase(
  store: string,
  places: MasterKeyPlaces,
  clock: Clock,
  log: Logger,
): Promise<void> {
  const sealedWith = masterKeyNameOf(store);
  const fits = ({ key }: FoundMasterKey) => sealedWith === undefined || masterKeyName(key) === sealedWith;
  for (let told = false; !(await findMasterKeys(places)).some(fits); told = true) {
    if (!told)
      log.warn(
        `control waits for the passphrase of this installation's secrets: run 'poolhouse up', which asks for it`,
      );
    await clock.sleep(lookForKeyEvery);
  }
}
