/**
 * The installation's own certificate authorities, and the certificate of the ARM API, made anew before it ends.
 *
 * Clients trust what `ca.pem` holds, and read it when they start. An authority ends too, so its successor is published
 * there more than a year before anything is signed with it: `ca.pem` holds the present one and, in the last of its years,
 * the next one. A client that has read the file within that year never meets a certificate that it does not trust.
 *
 * The server's certificate and its key lie in two places, which cannot be replaced at once: what a crash leaves is noticed
 * when they are read, for a pair that does not fit together, or does not come from the present authority, counts as none.
 * Authorities are precious: one that is there and cannot be used is an error, and never replaced behind its clients' backs.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { PoolhouseError } from '../core/errors.ts';
import type { IssuedCertificate } from './issue-certificates.ts';

export interface Certificates {
  /** What clients trust: all authorities, as they lie in `caFile`. */
  caFile: string;
  caPem: string;
  /** The server's certificate followed by that of the authority which signed it. */
  certificatePem: string;
  keyPem: string;
}

/** The API's, and that of the front door for browsers. */
export type ServerKey = 'server.key' | 'web.key';

/** Where private keys are kept: never in the clear beside their certificates. `ca.key` holds one for each authority. */
export interface PrivateKeys {
  read(name: 'ca.key' | ServerKey): Promise<string | undefined>;
  write(name: 'ca.key' | ServerKey, pem: string): Promise<void>;
}

export interface CertificateRequest {
  /** Where the certificates lie, which are no secret. */
  folder: string;
  keys: PrivateKeys;
  /** DNS names and IP addresses that the server answers to. */
  names: readonly string[];
  now: number;
  /** Which server: the certificate lies in a file of the same name. The API where nothing is said. */
  server?: ServerKey;
}

const day = 86_400_000;
const authorityDays = 3_650;
const serverDays = 397;
const renewalDays = 30;
/** How long before its end an authority gets a successor: longer than any server's certificate that it still signs. */
const successionDays = serverDays + renewalDays;

/**
 * Gives what lies in the folder, made where it is missing or ends soon. `HostNotReady`
 * where a file cannot be read, `InvalidConfiguration` where the authority is damaged.
 */
export async function ensureCertificates(request: CertificateRequest): Promise<Certificates> {
  const { folder } = request;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const authorities = await ensureAuthorities(request);
  // The oldest that lasts, for clients know it longest.
  const authority = authorities.find(({ pem }) => lasts(new X509Certificate(pem), request.now, renewalDays));
  if (authority === undefined) throw new Error('an authority was made, and is none');
  const server = (await readServer(request, authority)) ?? (await makeServer(request, authority));
  return {
    caFile: join(folder, 'ca.pem'),
    caPem: authorities.map(({ pem }) => pem).join(''),
    certificatePem: `${server.pem.trim()}\n${authority.pem}`,
    keyPem: server.keyPem,
  };
}

/**
 * For a process that runs long: called once a day, it gives new certificates before the present ones end (a TLS server
 * takes them with `setSecureContext`), and undefined on all other days.
 */
export async function renewCertificates(
  present: Certificates,
  request: CertificateRequest,
): Promise<Certificates | undefined> {
  const found = await ensureCertificates(request);
  return found.certificatePem === present.certificatePem && found.keyPem === present.keyPem ? undefined : found;
}

/** True while a certificate has begun, and does not end within so many days. */
function lasts(certificate: X509Certificate, now: number, days: number): boolean {
  return certificate.validFromDate.getTime() <= now && certificate.validToDate.getTime() - now >= days * day;
}

/** All that are valid, the oldest first; the last of them lasts long. */
async function ensureAuthorities(request: CertificateRequest): Promise<IssuedCertificate[]> {
  const { folder, keys, now } = request;
  const present = await readAuthorities(request);
  const valid = present.filter(({ pem }) => lasts(new X509Certificate(pem), now, 0));
  const authorities = valid.some(({ pem }) => lasts(new X509Certificate(pem), now, successionDays))
    ? valid
    : [...valid, await makeAuthority(now)];
  if (authorities.length === present.length && authorities.every((one, index) => one === present[index]))
    return present;
  // Keys first: one without a certificate counts for nothing, a certificate without its key is an error.
  const all = [...new Set([...present, ...authorities].map(({ keyPem }) => keyPem))];
  await keys.write('ca.key', all.join(''));
  await write(folder, 'ca.pem', authorities.map(({ pem }) => pem).join(''));
  await keys.write('ca.key', authorities.map(({ keyPem }) => keyPem).join(''));
  return authorities;
}

async function readAuthorities({ folder, keys }: CertificateRequest): Promise<IssuedCertificate[]> {
  const text = await read(folder, 'ca.pem');
  if (text === undefined) return []; // keys alone were made for a certificate that never was
  const keyPems = blocksOf((await keys.read('ca.key')) ?? '');
  try {
    const found = blocksOf(text).map((pem): IssuedCertificate => {
      const certificate = new X509Certificate(pem);
      const keyPem = keyPems.find((one) => certificate.checkPrivateKey(createPrivateKey(one)));
      if (keyPem === undefined) throw new Error('the key is missing, or of another certificate');
      return { pem, keyPem };
    });
    if (found.length === 0) throw new Error('there is no certificate in it');
    return found;
  } catch (error) {
    throw new PoolhouseError(
      'InvalidConfiguration',
      `The certificate authority in ${folder} cannot be used: ca.pem is damaged, or its key is not in the store. Restore both from a backup, or remove ca.pem: then a new one is made, and its clients have to be told (poolhouse az-env).`,
      { cause: error },
    );
  }
}

/** The PEM blocks of a text, each ended by a line end. */
function blocksOf(text: string): string[] {
  return [...text.matchAll(/-----BEGIN ([A-Z ]+)-----[\s\S]*?-----END \1-----/g)].map(([block]) => `${block}\n`);
}

async function makeAuthority(now: number): Promise<IssuedCertificate> {
  const { issueAuthority } = await issuing();
  return issueAuthority({
    name: 'Poolhouse certificate authority',
    notBefore: now - day,
    notAfter: now + authorityDays * day,
  });
}

async function readServer(
  { folder, keys, names, now, server = 'server.key' }: CertificateRequest,
  authority: IssuedCertificate,
): Promise<IssuedCertificate | undefined> {
  const pem = await read(folder, certificateFile(server));
  const keyPem = await keys.read(server);
  if (pem === undefined || keyPem === undefined) return undefined;
  try {
    const certificate = new X509Certificate(pem);
    const fits =
      certificate.checkPrivateKey(createPrivateKey(keyPem)) &&
      certificate.verify(new X509Certificate(authority.pem).publicKey) &&
      lasts(certificate, now, renewalDays) &&
      names.every((name) => answersTo(certificate, name));
    return fits ? { pem, keyPem } : undefined;
  } catch {
    return undefined; // damaged, which costs nothing: it is made anew
  }
}

const certificateFile = (server: ServerKey) => server.replace(/\.key$/, '.pem');

function answersTo(certificate: X509Certificate, name: string): boolean {
  return (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined;
}

async function makeServer(
  { folder, keys, names, now, server = 'server.key' }: CertificateRequest,
  authority: IssuedCertificate,
): Promise<IssuedCertificate> {
  const { issueServerCertificate } = await issuing();
  const issued = await issueServerCertificate(authority, {
    names,
    notBefore: now - day,
    notAfter: now + serverDays * day,
  });
  await keys.write(server, issued.keyPem);
  await write(folder, certificateFile(server), issued.pem);
  return issued;
}

/** Needed once a year, and slow to load: a process that only reads what is there begins without it. */
const issuing = () => import('./issue-certificates.ts');

async function read(folder: string, name: string): Promise<string | undefined> {
  const file = join(folder, name);
  return readFile(file, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new PoolhouseError('HostNotReady', `${file} cannot be read: ${(error as Error).message}`, { cause: error });
  });
}

async function write(folder: string, name: string, text: string): Promise<void> {
  const file = join(folder, name);
  await writeFile(`${file}.new`, text, { mode: 0o600, flush: true });
  await rename(`${file}.new`, file);
}
