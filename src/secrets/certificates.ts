/**
 * The installation's own certificate authority, and the certificate of the ARM API. Clients trust the authority once;
 * the server's certificate is made anew before it ends.
 */
import 'reflect-metadata';
import { webcrypto } from 'node:crypto';
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import * as x509 from '@peculiar/x509';

export interface Certificates {
  caFile: string;
  caPem: string;
  /** The server's certificate followed by the authority's. */
  certificatePem: string;
  keyPem: string;
}

export interface CertificateRequest {
  folder: string;
  /** DNS names and IP addresses that the server answers to. */
  names: readonly string[];
  now: number;
}

const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;
const day = 86_400_000;
const authorityDays = 3_650;
const serverDays = 397;
const renewalDays = 30;

/** True when a certificate ends soon, or does not name everything that is asked for. Pure. */
function needsRenewal(
  certificate: { notAfter: Date; names: readonly string[] },
  wanted: readonly string[],
  now: number,
): boolean {
  return (
    certificate.notAfter.getTime() - now < renewalDays * day ||
    !wanted.every((name) => certificate.names.includes(name))
  );
}

/** Gives what lies in the folder, made where it is missing or ends soon. Private keys have mode 0600. */
export async function ensureCertificates({ folder, names, now }: CertificateRequest): Promise<Certificates> {
  x509.cryptoProvider.set(globalThis.crypto);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const authority = (await readAuthority(folder)) ?? (await makeAuthority(folder, now));
  const present = await readServer(folder, names, now);
  const server = present ?? (await makeServer(folder, authority, names, now));
  return {
    caFile: join(folder, 'ca.pem'),
    caPem: authority.pem,
    certificatePem: `${server.pem.trim()}\n${authority.pem}`,
    keyPem: server.keyPem,
  };
}

interface Authority {
  pem: string;
  certificate: x509.X509Certificate;
  privateKey: webcrypto.CryptoKey;
}

async function readAuthority(folder: string): Promise<Authority | undefined> {
  const pem = await read(folder, 'ca.pem');
  const keyPem = await read(folder, 'ca.key');
  if (pem === undefined || keyPem === undefined) return undefined;
  return { pem, certificate: new x509.X509Certificate(pem), privateKey: await importKey(keyPem) };
}

async function makeAuthority(folder: string, now: number): Promise<Authority> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(),
    name: 'CN=Poolhouse certificate authority',
    notBefore: new Date(now - day),
    notAfter: new Date(now + authorityDays * day),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  const pem = `${certificate.toString('pem')}\n`;
  await write(folder, 'ca.key', await exportKey(keys.privateKey));
  await write(folder, 'ca.pem', pem);
  return { pem, certificate, privateKey: keys.privateKey };
}

async function readServer(
  folder: string,
  names: readonly string[],
  now: number,
): Promise<{ pem: string; keyPem: string } | undefined> {
  const pem = await read(folder, 'server.pem');
  const keyPem = await read(folder, 'server.key');
  if (pem === undefined || keyPem === undefined) return undefined;
  const certificate = new x509.X509Certificate(pem);
  const present =
    certificate.getExtension(x509.SubjectAlternativeNameExtension)?.names.items.map((item) => item.value) ?? [];
  return needsRenewal({ notAfter: certificate.notAfter, names: present }, names, now) ? undefined : { pem, keyPem };
}

async function makeServer(
  folder: string,
  authority: Authority,
  names: readonly string[],
  now: number,
): Promise<{ pem: string; keyPem: string }> {
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial(),
    subject: `CN=${names[0] ?? 'localhost'}`,
    issuer: authority.certificate.subject,
    notBefore: new Date(now - day),
    notAfter: new Date(now + serverDays * day),
    signingAlgorithm: algorithm,
    publicKey: keys.publicKey,
    signingKey: authority.privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      new x509.SubjectAlternativeNameExtension(
        names.map((name) => ({ type: isIP(name) === 0 ? 'dns' : 'ip', value: name })),
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      await x509.AuthorityKeyIdentifierExtension.create(authority.certificate.publicKey),
    ],
  });
  const pem = `${certificate.toString('pem')}\n`;
  const keyPem = await exportKey(keys.privateKey);
  await write(folder, 'server.key', keyPem);
  await write(folder, 'server.pem', pem);
  return { pem, keyPem };
}

function serial(): string {
  const bytes = webcrypto.getRandomValues(new Uint8Array(16));
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40; // positive, and of full length
  return Buffer.from(bytes).toString('hex');
}

async function exportKey(key: webcrypto.CryptoKey): Promise<string> {
  const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', key)).toString('base64');
  return `-----BEGIN PRIVATE KEY-----\n${der.replace(/.{64}/g, '$&\n').trim()}\n-----END PRIVATE KEY-----\n`;
}

async function importKey(pem: string): Promise<webcrypto.CryptoKey> {
  const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ''), 'base64');
  return webcrypto.subtle.importKey('pkcs8', der, algorithm, true, ['sign']);
}

async function read(folder: string, name: string): Promise<string | undefined> {
  return readFile(join(folder, name), 'utf8').catch(() => undefined);
}

async function write(folder: string, name: string, text: string): Promise<void> {
  const file = join(folder, name);
  await writeFile(`${file}.new`, text, { mode: 0o600 });
  await rename(`${file}.new`, file);
}
