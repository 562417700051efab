import { execFile, spawnSync } from 'node:child_process';
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpsServer } from 'node:https';
import { createServer, connect } from 'node:tls';
import { promisify } from 'node:util';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ensureCertificates, renewCertificates, type Certificates, type PrivateKeys } from './certificates.ts';

const day = 86_400_000;
const now = Date.now();
const names = ['127.0.0.1', 'localhost'];

const certificatesIn = (pem: string) =>
  [...pem.matchAll(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g)].map(
    ([one]) => new X509Certificate(one),
  );

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
    const [leaf, authority] = certificatesIn(made.certificatePem);
    if (leaf === undefined || authority === undefined) throw new Error('the chain is not whole');
    expect(certificatesIn(made.caPem).map((one) => one.serialNumber)).toContain(authority.serialNumber);
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

  it('come from an authority that clients know for a year already, for ever', async () => {
    const read: { at: number; serials: string[] }[] = [];
    const signers = new Set<string>();
    for (let at = 0; at < 30 * 365; at += 25) {
      const made = await ensure(now + at * day);
      expectWhole(made);
      const [leaf, signer] = certificatesIn(made.certificatePem);
      for (const one of [leaf, signer]) expect(one?.validToDate.getTime()).toBeGreaterThan(now + (at + 25) * day);
      signers.add(signer?.serialNumber ?? '');
      read.push({ at, serials: certificatesIn(made.caPem).map((one) => one.serialNumber) });
      // Whoever has read the file within the last year, and not since.
      for (const { at: before, serials } of read.slice(-15))
        expect(serials, `read on day ${before}, on day ${at}`).toContain(signer?.serialNumber);
    }
    expect(signers.size).toBe(4);
    // What has ended is gone, and so is its key.
    expect(read.at(-1)?.serials.length).toBeLessThanOrEqual(2);
    expect(kept.get('ca.key')?.match(/BEGIN/g)).toHaveLength(read.at(-1)?.serials.length ?? 0);
  });

  it('begin anew where control did not run until the authority had ended', async () => {
    const made = await ensure();
    const late = await ensure(now + 3_700 * day);
    expectWhole(late);
    expect(certificatesIn(late.caPem)).toHaveLength(1);
    expect(late.caPem).not.toBe(made.caPem);
  });

  it.each(['ca.pem', 'ca.key'])('keep both authorities where power failed before %s was written', async (name) => {
    const made = await ensure();
    const failing: PrivateKeys = {
      ...keys,
      write: (key, pem) => (key === name ? Promise.reject(new Error('power cut')) : keys.write(key, pem)),
    };
    if (name === 'ca.pem') await mkdir(file('ca.pem.new')); // what cannot be written over
    const cut = ensureCertificates({ folder, keys: failing, names, now: now + 3_400 * day });
    await expect(cut).rejects.toThrow();
    await rm(file('ca.pem.new'), { recursive: true, force: true });
    expect(await ensure()).toEqual(made);
    const mended = await ensure(now + 3_400 * day);
    expectWhole(mended);
    expect(certificatesIn(mended.caPem)).toHaveLength(2);
    expect(mended.caPem.startsWith(made.caPem)).toBe(true);
  });

  const curl = spawnSync('curl', ['--version']).status === 0;
  const requests = spawnSync('python3', ['-c', 'import requests']).status === 0;
  const clients: [string, boolean, (caFile: string, url: string) => [string, ...string[]]][] = [
    ['curl', curl, (caFile, url) => ['curl', '-sS', '--noproxy', '*', '--cacert', caFile, url]],
    [
      `az's own library`,
      requests,
      (caFile, url) => [
        'python3',
        '-c',
        'import requests, sys; s = requests.Session(); s.trust_env = False; sys.stdout.write(s.get(sys.argv[2], verify=sys.argv[1]).text)',
        caFile,
        url,
      ],
    ],
  ];
  for (const [client, there, command] of clients) {
    it.skipIf(!there)(
      `are taken by ${client} from either of two authorities${there ? '' : ' (it is missing)'}`,
      async () => {
        // On the day that the present authority has 20 days left, the next one signs.
        for (const age of [3_300, 3_630]) {
          for (const name of await readdir(folder)) await rm(file(name));
          kept.clear();
          const { caFile } = await ensure(now - age * day);
          if (age === 3_630) await ensure(now - 200 * day); // then the next one was published
          const { certificatePem: cert, keyPem: key, caPem } = await ensure();
          expect(certificatesIn(caPem)).toHaveLength(2);
          const server = createHttpsServer({ cert, key }, (_request, response) => response.end('served'));
          await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
          const { port } = server.address() as AddressInfo; // a TCP server has one
          try {
            const [program, ...argv] = command(caFile, `https://127.0.0.1:${port}/`);
            const { stdout } = await promisify(execFile)(program, argv);
            expect(stdout).toBe('served');
          } finally {
            server.close();
          }
        }
      },
    );
  }

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
