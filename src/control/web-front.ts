/**
 * What the front door for browsers proves itself with: a certificate for the names that pools are reached by, the
 * operator's or one of our own authority; what cookies are sealed with; what JupyterHub takes for a sign-in.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { Logger } from 'pino';
import { PoolhouseError } from '../core/errors.ts';
import { dig } from '../core/json.ts';
import type { Clock } from '../core/time.ts';
import type { WebIdentity } from '../link/people.ts';
import { ensureCertificates, type PrivateKeys } from '../secrets/certificates.ts';
import { findResources } from '../store/resource-records.ts';
import type { Store } from '../store/store.ts';
import type { KeptSecrets } from './ssh-identity.ts';

export interface WebFront {
  /** Ed25519, SPKI PEM: what instances check sign-ins with. */
  assertionPublicKey: string;
  /** For these names and addresses; undefined where there is no front door for browsers. */
  identity(names: readonly string[]): Promise<WebIdentity | undefined>;
}

export interface WebFrontOptions {
  folder: string;
  keys: PrivateKeys & KeptSecrets;
  /** The operator's own certificate; it is read again as long as we run, so that a renewed one comes into use. */
  own?: { certificateFile: string; keyFile: string };
  clock: Clock;
  log: Logger;
}

type Pair = Pick<WebIdentity, 'certificate' | 'certificateKey'>;

/** Makes the keys that are missing. `InvalidConfiguration` where the operator's own certificate cannot be used. */
export async function createWebFront({ folder, keys, own, clock, log }: WebFrontOptions): Promise<WebFront> {
  async function ensure(name: 'web-cookie-key' | 'web-assertion-key', make: () => string): Promise<string> {
    const known = await keys.read(name);
    if (known !== undefined) return known;
    const made = make();
    await keys.write(name, made);
    return made;
  }
  const cookieKey = await ensure('web-cookie-key', () => randomBytes(32).toString('base64'));
  const assertionKey = await ensure(
    'web-assertion-key',
    () => generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, // PEM is text
  );
  let present = own === undefined ? undefined : await readOwn(own);
  let complaint = '';

  async function ownPair(files: NonNullable<WebFrontOptions['own']>, before: Pair): Promise<Pair> {
    try {
      const pair = await readOwn(files);
      complaint = '';
      return pair;
    } catch (error) {
      const { message } = error as PoolhouseError;
      // It may be in the middle of being replaced.
      if (message !== complaint) log.warn(`${message} The one that was read before stays in use.`);
      complaint = message;
      return before;
    }
  }

  return {
    assertionPublicKey: createPublicKey(createPrivateKey(assertionKey)).export({
      type: 'spki',
      format: 'pem',
    }) as string, // PEM is text
    async identity(names) {
      if (own !== undefined && present !== undefined) {
        present = await ownPair(own, present);
        return { ...present, cookieKey, assertionKey };
      }
      const made = await ensureCertificates({ folder, keys, names, now: clock.now(), server: 'web.key' });
      return { certificate: made.certificatePem, certificateKey: made.keyPem, cookieKey, assertionKey };
    },
  };
}

async function readOwn({ certificateFile, keyFile }: NonNullable<WebFrontOptions['own']>): Promise<Pair> {
  try {
    const [certificate, certificateKey] = await Promise.all([
      readFile(certificateFile, 'utf8'),
      readFile(keyFile, 'utf8'),
    ]);
    if (!new X509Certificate(certificate).checkPrivateKey(createPrivateKey(certificateKey)))
      throw new Error('they do not belong together');
    return { certificate, certificateKey };
  } catch (error) {
    throw new PoolhouseError(
      'InvalidConfiguration',
      `The certificate ${certificateFile} with the key ${keyFile} cannot be used: ${(error as Error).message}.`,
      { cause: error },
    );
  }
}

/** Whatever browsers may call a pool by. */
export async function publicNames(store: Pick<Store, 'db'>): Promise<string[]> {
  const rows = await store.db.selectFrom('public_addresses').select('address').execute();
  const addresses = await findResources(store.db, { type: 'Microsoft.Network/publicIPAddresses' });
  const labels = addresses.flatMap(({ document }) => {
    const fqdn = dig(document, 'properties', 'dnsSettings', 'fqdn');
    return typeof fqdn === 'string' ? [fqdn] : [];
  });
  const own = hostname();
  return [
    ...new Set([
      'localhost',
      ...(/^[A-Za-z0-9.-]+$/.test(own) ? [own] : []),
      ...rows.map((row) => row.address),
      ...labels,
    ]),
  ];
}
