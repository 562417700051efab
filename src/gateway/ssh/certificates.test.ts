import { execFileSync } from 'node:child_process';
import { createPrivateKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { PoolhouseError } from '../../core/errors.ts';
import {
  checkCertificate,
  formatCertificate,
  parseCertificate,
  signCertificate,
  userExtensions,
  verifyAuthority,
  type CertificateRequest,
  type CertificateUse,
} from './certificates.ts';
import { generateKey, parseKey } from './library.ts';
import { encodePublicKey, verifySignature } from './ssh-keys.ts';
import { wireString, wireUint32, wireUint64 } from './ssh-wire.ts';

const now = Date.UTC(2026, 0, 15, 12);
const hour = 3_600_000;
const { privateKey: authority } = generateKeyPairSync('ed25519');
const trusted = encodePublicKey(authority).blob;
const alice = encodePublicKey(generateKeyPairSync('ed25519').publicKey).blob;

const request: CertificateRequest = {
  type: 'user',
  key: alice,
  serial: 2n ** 63n + 7n,
  keyId: 'alice of the house, für heute',
  principals: ['alice', 'ops'],
  validFrom: now - hour,
  validTo: now + hour,
  extensions: userExtensions,
};
const use: CertificateUse = { type: 'user', principal: 'alice', now, address: '10.1.2.3' };
const make = (changes: Partial<CertificateRequest> = {}, by: KeyObject = authority) =>
  parseCertificate(signCertificate({ ...request, ...changes }, by));

describe('a certificate', () => {
  it('holds what it was asked for', () => {
    const certificate = make();
    expect(certificate).toMatchObject({
      algorithm: 'ssh-ed25519-cert-v01@openssh.com',
      type: 'user',
      serial: request.serial,
      keyId: request.keyId,
      principals: request.principals,
      validFrom: request.validFrom,
      validTo: request.validTo,
      keyBlob: alice,
      authority: trusted,
    });
    expect([...certificate.extensions]).toEqual(userExtensions);
    verifyAuthority(certificate, [trusted]);
    expect(checkCertificate(certificate, use).forceCommand).toBeUndefined();
  });

  it.each<[string, Partial<CertificateRequest>, Partial<CertificateUse>, RegExp | undefined]>([
    ['the first moment', { validFrom: now }, {}, undefined],
    ['before it', { validFrom: now + 1000 }, {}, /not valid yet/],
    ['the last moment', { validTo: now + 1000 }, {}, undefined],
    ['after it', { validTo: now }, {}, /expired/],
    ['no end', { validTo: Infinity }, { now: now * 100 }, undefined],
    ['another principal', {}, { principal: 'ops' }, undefined],
    ['somebody else', {}, { principal: 'mallory' }, /not for 'mallory'/],
    ['nobody', { principals: [] }, {}, /not for 'alice'/],
    ['a host', {}, { type: 'host' }, /for a user/],
    ['a host shown by a user', { type: 'host', extensions: [] }, {}, /for a host/],
    ['an address', { sourceAddresses: ['10.1.2.3'] }, {}, undefined],
    ['a network', { sourceAddresses: ['192.0.2.0/24', '10.0.0.0/8'] }, {}, undefined],
    ['IPv4 on a socket of IPv6', { sourceAddresses: ['10.0.0.0/8'] }, { address: '::ffff:10.9.9.9' }, undefined],
    ['IPv6', { sourceAddresses: ['2001:db8::/32'] }, { address: '2001:db8::1' }, undefined],
    ['another network', { sourceAddresses: ['192.0.2.0/24'] }, {}, /address/],
    ['another family', { sourceAddresses: ['::/0'] }, {}, /address/],
    ['an impossible network', { sourceAddresses: ['10.0.0.0/33', '10/8', ''] }, {}, /address/],
    ['a command', { forceCommand: 'uptime' }, {}, undefined],
  ])('for %s', (_what, changes, used, refused) => {
    const judge = () => checkCertificate(make(changes), { ...use, ...used });
    if (refused === undefined) expect(judge().forceCommand).toBe(changes.forceCommand);
    else
      expect(judge).toThrow(
        expect.objectContaining({ code: 'AuthenticationFailed', message: expect.stringMatching(refused) as string }),
      );
  });

  it('is refused without an address where it asks for one', () => {
    const { address: _address, ...withoutAddress } = use;
    expect(() => checkCertificate(make({ sourceAddresses: ['10.0.0.0/8'] }), withoutAddress)).toThrow(/address/);
  });

  it('is refused with a condition that nobody knows here', () => {
    const certificate = { ...make(), criticalOptions: new Map([['verify-required', '']]) };
    expect(() => checkCertificate(certificate, use)).toThrow(/'verify-required'/);
  });

  it('is refused of another authority, and when a byte of it is changed', () => {
    const other = generateKeyPairSync('ed25519').privateKey;
    expect(() => verifyAuthority(make({}, other), [trusted])).toThrow(/not trusted/);
    const blob = signCertificate(request, authority);
    const changed = Buffer.from(blob);
    const at = changed.indexOf('alice');
    changed.write('malice'.slice(0, 5), at);
    expect(() => verifyAuthority(parseCertificate(changed), [trusted])).toThrow(/signature/);
  });

  it('is no authority for another one', () => {
    const blob = signCertificate(request, authority);
    const chained = parseCertificate(blob);
    expect(() => verifyAuthority({ ...chained, authority: blob }, [blob])).toThrow(PoolhouseError);
  });

  it.each<[string, (blob: Buffer) => Buffer, RegExp]>([
    ['cut off', (blob) => blob.subarray(0, -1), /cut off/],
    ['longer', (blob) => Buffer.concat([blob, Buffer.of(0)]), /something more/],
    ['empty', () => Buffer.alloc(0), /cut off/],
    ['a bare key', () => alice, /not taken/],
    ['with a length of 4 GB', () => Buffer.from('ffffffff00', 'hex'), /cut off/],
    [
      'of an unknown type',
      () => wireString('ssh-dss-cert-v01@openssh.com'),
      /'ssh-dss-cert-v01@openssh.com' are not taken/,
    ],
    ['for neither', (blob) => replaceAt(blob, fieldAfterKey(blob) + 8, wireUint32(3)), /neither/],
  ])('that is %s is refused', (_what, change, refused) => {
    expect(() => parseCertificate(change(signCertificate(request, authority)))).toThrow(refused);
  });

  it.each([
    ['ecdsa P-256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
    ['ecdsa P-384', generateKeyPairSync('ec', { namedCurve: 'P-384' })],
    ['ecdsa P-521', generateKeyPairSync('ec', { namedCurve: 'P-521' })],
    ['RSA', generateKeyPairSync('rsa', { modulusLength: 2048 })],
  ])('of %s by %s', (_what, pair) => {
    const certificate = make({ key: encodePublicKey(pair.publicKey).blob }, pair.privateKey);
    verifyAuthority(certificate, [encodePublicKey(pair.publicKey).blob]);
    expect(certificate.key.equals(pair.publicKey)).toBe(true);
  });

  it('refuses RSA keys that are too short, and signatures with SHA-1', () => {
    const short = generateKeyPairSync('rsa', { modulusLength: 1024 });
    expect(() => make({ key: encodePublicKey(short.publicKey).blob })).toThrow(/2,048/);
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).publicKey;
    const signature = Buffer.concat([wireString('ssh-rsa'), wireString(Buffer.alloc(256, 1))]);
    expect(() => verifySignature(rsa, signature, Buffer.alloc(0))).toThrow(/'ssh-rsa' is not taken/);
  });

  it('of any bytes is a certificate or a refusal', () => {
    const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const ecdsa = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const blobs = [
      signCertificate({ ...request, forceCommand: 'x', sourceAddresses: ['10.0.0.0/8'] }, authority),
      signCertificate({ ...request, key: encodePublicKey(rsa.publicKey).blob }, rsa.privateKey),
      signCertificate({ ...request, key: encodePublicKey(ecdsa.publicKey).blob }, ecdsa.privateKey),
    ];
    const mutated = fc
      .record({
        blob: fc.constantFrom(...blobs),
        changes: fc.array(fc.tuple(fc.nat(), fc.uint8Array({ maxLength: 6 })), { minLength: 1, maxLength: 4 }),
        cut: fc.option(fc.nat()),
      })
      .map(({ blob, changes, cut }) => {
        const copy = changes.reduce(
          (bytes, [at, value]) => replaceAt(bytes, at % bytes.length, Buffer.from(value)),
          blob,
        );
        return cut === null ? copy : copy.subarray(0, cut % (copy.length + 1));
      });
    const random = fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes));
    const anyTyped = random.map((bytes) => Buffer.concat([wireString('ssh-rsa-cert-v01@openssh.com'), bytes]));
    fc.assert(
      fc.property(fc.oneof(mutated, random, anyTyped), (blob) => {
        try {
          const certificate = parseCertificate(blob);
          verifyAuthority(certificate, [certificate.authority]);
          checkCertificate(certificate, use);
        } catch (error) {
          if (!(error instanceof PoolhouseError) || error.code !== 'AuthenticationFailed') throw error;
        }
      }),
      { numRuns: 2000 },
    );
  });
});

const sshKeygen = existsSync('/usr/bin/ssh-keygen');

describe.skipIf(!sshKeygen)(
  `with OpenSSH's ssh-keygen${sshKeygen ? '' : ' (skipped: /usr/bin/ssh-keygen is not there)'}`,
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'poolhouse-certificates-'));
    afterAll(() => rmSync(folder, { recursive: true }));
    const keygen = (...argv: string[]) =>
      execFileSync('ssh-keygen', argv, { cwd: folder, encoding: 'utf8', env: { ...process.env, TZ: 'UTC' } });

    it('shows ours as they were meant', () => {
      const file = join(folder, 'ours-cert.pub');
      const blob = signCertificate({ ...request, forceCommand: 'uptime', sourceAddresses: ['10.0.0.0/8'] }, authority);
      writeFileSync(file, `${formatCertificate(blob, 'alice')}\n`);
      const shown = keygen('-L', '-f', file).replace(/\s+/g, ' ');
      for (const part of [
        'Type: ssh-ed25519-cert-v01@openssh.com user certificate',
        `Serial: ${request.serial}`,
        'Valid: from 2026-01-15T11:00:00 to 2026-01-15T13:00:00',
        'Principals: alice ops Critical Options: force-command uptime source-address 10.0.0.0/8',
        `Extensions: ${userExtensions.join(' ')}`,
      ])
        expect(shown).toContain(part);
      writeFileSync(
        file,
        `${formatCertificate(signCertificate({ ...request, type: 'host', validTo: Infinity, validFrom: 0, extensions: [] }, authority))}\n`,
      );
      expect(keygen('-L', '-f', file).replace(/\s+/g, ' ')).toMatch(
        /host certificate .* Critical Options: \(none\) Extensions: \(none\)/,
      );
    });

    it.each(['ed25519', 'ecdsa', 'rsa'])('takes those it made of %s keys', (type) => {
      const [ca, user] = [`ca-${type}`, `user-${type}`];
      for (const name of [ca, user]) keygen('-q', '-t', type, '-N', '', '-C', '', '-f', name);
      keygen(
        '-q',
        '-s',
        ca,
        '-I',
        'their id',
        '-n',
        'alice,bob',
        '-z',
        '42',
        '-V',
        '-1h:+1h',
        '-O',
        'source-address=10.0.0.0/8',
        `${user}.pub`,
      );
      const [, base64 = ''] = readFileSync(join(folder, `${user}-cert.pub`), 'utf8').split(' ');
      const certificate = parseCertificate(Buffer.from(base64, 'base64'));
      expect(certificate).toMatchObject({ type: 'user', serial: 42n, keyId: 'their id', principals: ['alice', 'bob'] });
      expect([...certificate.extensions]).toEqual(userExtensions);
      const caKey = parseKey(readFileSync(join(folder, `${ca}.pub`)));
      verifyAuthority(certificate, [caKey.getPublicSSH()]);
      checkCertificate(certificate, { ...use, now: Date.now() });
      const privateKey = createPrivateKey(parseKey(readFileSync(join(folder, ca))).getPrivatePEM() ?? '');
      verifyAuthority(make({}, privateKey), [caKey.getPublicSSH()]);
    });

    it('reads a key of the library as an authority', () => {
      const key = parseKey(generateKey('ca').private);
      const made = make({}, createPrivateKey(key.getPrivatePEM() ?? ''));
      verifyAuthority(made, [key.getPublicSSH()]);
    });
  },
);

/** Where the serial stands in a certificate of an ed25519 key. */
function fieldAfterKey(blob: Buffer): number {
  return blob.indexOf(wireUint64(request.serial));
}

function replaceAt(blob: Buffer, at: number, bytes: Buffer): Buffer {
  return Buffer.concat([blob.subarray(0, at), bytes, blob.subarray(at + bytes.length)]);
}
