import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer, connect } from 'node:tls';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensureCertificates, renewCertificates, type Certificates, type PrivateKeys } from './certificates.ts';

const day = 86_400_000;
const now = Date.now();
const names = ['127.0.0.1', 'localhost'];

describe('certificates', () => {
  let folder: string;
  const kept = new Map<string, string>();
  const keys: PrivateKeys = {
    read: (name) => Promise.resolve(kept.get(name)),
    write: (name, pem) => {
      kept.set(name, pem);
      return Promise.resolve();
    },
  };
  const ensure = (at = now, wanted = names) => ensureCertificates({ folder, keys, names: wanted, now: at });
  const file = (name: string) => join(folder, name);
  beforeEach(async () => {
    kept.clear();
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-certificates-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  function expectWhole(made: Certificates): void {
    const leaf = new X509Certificate(made.certificatePem);
    const authority = new X509Certificate(made.caPem);
    expect(leaf.checkPrivateKey(createPrivateKey(made.keyPem))).toBe(true);
    expect(leaf.verify(authority.publicKey)).toBe(true);
    expect(leaf.checkIssued(authority)).toBe(true);
    expect(leaf.validToDate.getTime()).toBeLessThanOrEqual(authority.validToDate.getTime());
  }

  it('are made once, and their keys are not beside them', async () => {
    const made = await ensure();
    expectWhole(made);
    expect(await ensure()).toEqual(made);
    expect(await readFile(made.caFile, 'utf8')).toBe(made.caPem);
    expect((await readdir(folder)).toSorted()).toEqual(['ca.pem', 'server.pem']);
    expect([...kept.keys()].toSorted()).toEqual(['ca.key', 'server.key']);
  });

  it('are taken by a TLS client that trusts the authority', async () => {
    const { certificatePem: cert, keyPem: key, caPem: ca } = await ensure();
    const server = createServer({ cert, key }, (socket) => socket.end('served'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as AddressInfo; // a TCP server has one
      let text = '';
      for await (const chunk of connect({ host: '127.0.0.1', port, ca })) text += String(chunk);
      expect(text).toBe('served');
    } finally {
      server.close();
    }
  });

  it('name what they are asked to name', async () => {
    const made = await ensure();
    expect(await ensure(now, ['localhost'])).toEqual(made);
    const more = await ensure(now, [...names, 'pool.team.internal']);
    expect(new X509Certificate(more.certificatePem).subjectAltName).toContain('DNS:pool.team.internal');
    expect(more.caPem).toBe(made.caPem);
  });

  it('are renewed before they end, and the authority stays', async () => {
    const made = await ensure();
    expect(await renewCertificates(made, { folder, keys, names, now: now + 366 * day })).toBeUndefined();
    const renewed = await renewCertificates(made, { folder, keys, names, now: now + 368 * day });
    expectWhole(renewed as Certificates);
    expect(renewed?.caPem).toBe(made.caPem);
    expect(renewed?.certificatePem).not.toBe(made.certificatePem);
    expect(
      await renewCertificates(renewed as Certificates, { folder, keys, names, now: now + 369 * day }),
    ).toBeUndefined();
  });

  it('are renewed in a server that runs', async () => {
    const made = await ensure();
    const server = createServer({ cert: made.certificatePem, key: made.keyPem }, (socket) => socket.end());
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo; // a TCP server has one
    const presented = () =>
      new Promise<string | undefined>((resolve, reject) => {
        const client = connect({ host: '127.0.0.1', port, ca: made.caPem }, () => {
          resolve(client.getPeerX509Certificate()?.serialNumber);
          client.destroy();
        }).on('error', reject);
      });
    try {
      expect(await presented()).toBe(new X509Certificate(made.certificatePem).serialNumber);
      const renewed = await renewCertificates(made, { folder, keys, names: [...names, 'more'], now });
      const { certificatePem: cert, keyPem: key } = renewed as Certificates;
      server.setSecureContext({ cert, key });
      expect(await presented()).toBe(new X509Certificate(cert).serialNumber);
    } finally {
      server.close();
    }
  });

  it('get a new authority before the old one ends', async () => {
    const made = await ensure();
    const late = await ensure(now + 3_500 * day);
    expectWhole(late);
    expect(late.caPem).toBe(made.caPem);
    const renewed = await ensure(now + 3_630 * day);
    expectWhole(renewed);
    expect(renewed.caPem).not.toBe(made.caPem);
    expect(await ensure(now + 3_631 * day)).toEqual(renewed);
  });

  it('are made anew where the clock was wrong when they were made', async () => {
    const made = await ensure(now + 2_000 * day);
    expect((await ensure()).certificatePem).not.toBe(made.certificatePem);
  });

  const leftovers: [what: string, spoil: () => Promise<void>][] = [
    [
      'whose key was replaced and then power failed',
      async () => {
        await rename(file('server.pem'), file('old'));
        await ensure();
        await rename(file('old'), file('server.pem'));
      },
    ],
    [
      'of another authority',
      async () => {
        await rm(file('ca.pem'));
        kept.delete('ca.key');
      },
    ],
    ['that is cut off', () => writeFile(file('server.pem'), '-----BEGIN CERTIFICATE-----\nMIIB')],
    ['that is empty', () => writeFile(file('server.pem'), '')],
    ['whose key is damaged', () => keys.write('server.key', 'no key')],
    [
      'whose key is missing',
      () => {
        kept.delete('server.key');
        return Promise.resolve();
      },
    ],
  ];
  it.each(leftovers)('do not keep a server certificate %s', async (_what, spoil) => {
    const made = await ensure();
    await spoil();
    const mended = await ensure();
    expectWhole(mended);
    expect(mended.certificatePem).not.toBe(made.certificatePem);
    expect(await ensure()).toEqual(mended);
  });

  it('begin anew where power failed while the authority was made', async () => {
    await ensure();
    for (const name of ['ca.pem', 'server.pem']) await rm(file(name));
    kept.delete('server.key');
    expectWhole(await ensure());
  });

  it.each([
    [
      'without its key',
      () => {
        kept.delete('ca.key');
        return Promise.resolve();
      },
    ],
    ['with a damaged key', () => keys.write('ca.key', 'no key')],
    ['that is damaged', () => writeFile(file('ca.pem'), 'no certificate')],
  ])('never replace an authority %s', async (_what, spoil) => {
    await ensure();
    await spoil();
    await expect(ensure()).rejects.toMatchObject({
      code: 'InvalidConfiguration',
      message: expect.stringContaining('Restore both from a backup') as string,
    });
  });

  it.each(['ca.pem', 'server.pem'])('never take an unreadable %s for a missing one', async (name) => {
    const made = await ensure();
    await rename(file(name), file('kept'));
    await mkdir(file(name)); // what root cannot read either
    await expect(ensure()).rejects.toMatchObject({
      code: 'HostNotReady',
      message: expect.stringContaining(`${file(name)} cannot be read`) as string,
    });
    await rm(file(name), { recursive: true });
    await rename(file('kept'), file(name));
    expect(await ensure()).toEqual(made);
  });
});
