/** What `up` and `rotate-key` have to do with the master key: make it, ask for it, change it. */
import { randomBytes } from 'node:crypto';
import { rename, writeFile } from 'node:fs/promises';
import type { Config } from '../core/config.ts';
import { PoolhouseError } from '../core/errors.ts';
import type { Home, RuntimeFolder } from '../core/home.ts';
import type { Installation } from '../core/installation.ts';
import { masterKeyName, masterKeyNameOf } from '../secrets/keyring.ts';
import { credentialName, findMasterKeys, keyOfPassphrase, readMasterKey } from '../secrets/master-key.ts';
import { changeConfigFile, readConfigFile } from './config-file.ts';
import { tellControl } from './local-api.ts';

export interface MasterKeyRequest {
  home: Home;
  run: RuntimeFolder;
  installation: Installation;
  kind: Config['masterKey'];
  passphrase: AskPassphrase;
}

/** Asks the person, twice where the passphrase is new; undefined where nobody can be asked. */
export type AskPassphrase = (isNew: boolean) => Promise<string | undefined>;

/**
 * Sees to it that control finds the key that its store is sealed with: makes one for a new installation, asks for the
 * passphrase. `InvalidConfiguration` where the key of a store is lost: a new one would open nothing.
 */
export async function ensureMasterKey(request: MasterKeyRequest): Promise<void> {
  const { home, run, installation, kind } = request;
  const sealedWith = masterKeyNameOf(home.store);
  if (kind === 'credential') return; // systemd hands it to control, and to nobody else
  const present = await findMasterKeys({ file: home.masterKey, memoryFile: run.masterKey, credentials: undefined });
  const fits = (key: Buffer) => sealedWith === undefined || masterKeyName(key) === sealedWith;
  if (present.some(({ key }) => fits(key))) return;
  if (kind === 'file') {
    if (sealedWith === undefined) return writeKey(home.masterKey, randomBytes(32));
    throw new PoolhouseError(
      'InvalidConfiguration',
      `${home.masterKey} is missing or of another installation: with it all secrets of this one are sealed (its name is ${sealedWith}). Restore it from a backup: a new one would open none of them.`,
    );
  }
  const passphrase = await request.passphrase(sealedWith === undefined);
  if (passphrase === undefined) {
    throw new PoolhouseError(
      'HostNotReady',
      `The secrets of this installation are sealed with a passphrase, which is asked for after each start of the machine. Run 'poolhouse up' at a terminal, or with --passphrase-file FILE.`,
    );
  }
  const key = await keyOfPassphrase(passphrase, installation.id);
  if (!fits(key)) {
    throw new PoolhouseError('InvalidConfiguration', 'That is not the passphrase of this installation. Try again.');
  }
  await writeKey(run.masterKey, key);
}

async function writeKey(file: string, key: Buffer): Promise<void> {
  await writeFile(`${file}.new`, key, { mode: 0o600, flush: true });
  await rename(`${file}.new`, file);
}

/** Seals everything with a new key, of a kind of the caller's choice, while control runs. `HostNotReady` where it does not. */
export async function rotateMasterKey(
  request: MasterKeyRequest & { credentialFile: string | undefined },
): Promise<void> {
  const { home, run, installation, kind, credentialFile } = request;
  const key = await newKey();
  const path = { file: home.masterKey, passphrase: run.masterKey, credential: undefined }[kind];
  await tellControl(run.adminSocket, '/v1/master-key', {
    key: key.toString('base64'),
    ...(path === undefined ? {} : { path }),
  });
  const config = await readConfigFile(home.config);
  await changeConfigFile(home.config, config, kind === config.config.masterKey ? {} : { masterKey: kind });

  async function newKey(): Promise<Buffer> {
    if (kind === 'file') return randomBytes(32);
    if (kind === 'passphrase') {
      const passphrase = await request.passphrase(true);
      if (passphrase === undefined)
        throw new PoolhouseError('HostNotReady', 'Run this at a terminal, or with --passphrase-file FILE.');
      return keyOfPassphrase(passphrase, installation.id);
    }
    if (credentialFile === undefined)
      throw new PoolhouseError(
        'InvalidConfiguration',
        `A credential is made outside of Poolhouse: say with --key-file FILE which 32 bytes it will hold, and give them to the unit as '${credentialName}' before it starts again.`,
      );
    return readMasterKey(credentialFile);
  }
}
