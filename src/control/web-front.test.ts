import { X509Certificate } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../core/system-clock.ts';
import { issueAuthority } from '../secrets/issue-certificates.ts';
import { createWebFront } from './web-front.ts';

describe('the front door for browsers', () => {
  let folder: string;
  let kept: Map<string, string>;
  let warnings: string[];
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-web-'));
    kept = new Map();
    warnings = [];
  });
  afterEach(() => rm(folder, { recursive: true }));

  const keys = {
    read: (name: string) => Promise.resolve(kept.get(name)),
    write: (name: string, value: string) => {
      kept.set(name, value);
      return Promise.resolve();
    },
  };
  const log = pino({ level: 'warn' }, { write: (line: string) => void warnings.push(line) });
  const create = (own?: { certificateFile: string; keyFile: string }) =>
    createWebFront({ folder, keys, clock: systemClock, log, ...(own === undefined ? {} : { own }) });

  it('has the same keys and the same certificate after a restart', async () => {
    const names = ['127.0.0.1', 'pool.example'];
    const first = await (await create()).identity(names);
    expect(await (await create()).identity(names)).toEqual(first);
    expect((await create()).assertionPublicKey).toMatch(/^-----BEGIN PUBLIC KEY-----/);
  });

  it('has a certificate of the installation’s own authority for each address that a pool gets', async () => {
    const front = await create();
    await front.identity(['127.77.1.1']);
    const { certificate = '' } = (await front.identity(['127.77.1.1', '192.0.2.7', 'pool.example'])) ?? {};
    const [leaf = '', issuer = ''] = certificate.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----/g) ?? [];
    const shown = new X509Certificate(leaf);
    expect([shown.checkIP('192.0.2.7'), shown.checkHost('pool.example')]).toEqual(['192.0.2.7', 'pool.example']);
    expect(shown.verify(new X509Certificate(issuer).publicKey)).toBe(true);
  });

  it('shows the operator’s own, and a newer one as soon as it is whole', async () => {
    const own = { certificateFile: join(folder, 'own.pem'), keyFile: join(folder, 'own.key') };
    const issue = (name: string) =>
      issueAuthority({ name, notBefore: Date.now() - 1_000, notAfter: Date.now() + 86_400_000 });
    const [first, second] = [await issue('first'), await issue('second')];
    await writeFile(own.certificateFile, first.pem);
    await expect(create(own)).rejects.toMatchObject({ code: 'InvalidConfiguration' });
    await writeFile(own.keyFile, first.keyPem);
    const front = await create(own);
    expect((await front.identity([]))?.certificate).toBe(first.pem);
    await writeFile(own.certificateFile, second.pem);
    expect((await front.identity([]))?.certificate).toBe(first.pem);
    await front.identity([]);
    expect(warnings).toHaveLength(1);
    await writeFile(own.keyFile, second.keyPem);
    expect((await front.identity([]))?.certificate).toBe(second.pem);
  });
});
