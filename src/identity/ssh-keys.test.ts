import { describe, expect, it } from 'vitest';
import { parseSshKey, parseSshKeys } from './ssh-keys.ts';

// Made by ssh-keygen, which also told the fingerprints.
const ed25519 = 'AAAAC3NzaC1lZDI1NTE5AAAAIHf31+vO4thUwzEuIVzHcght++OvQqMvFDKtZlWXIZbv';
const ecdsa256 =
  'AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBF84c5XcUJ1YbjYo7MVaqaFixqI/SM2PcepZT7MdpgPNCcXMvHnPX6UPXX4M5IR2CZWj2hj5U6IOXWjXAoY1wpI=';
const ecdsa384 =
  'AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBJBPkreaJvlCn5VsQjioKNiRi846BezyRudhIiE8URPMhHCgcfSaI5fkaMsoWvN33NLk2fSHUv+N6oVvVc/647FbLmRVf2Xu/OJTIyIxXmL0PEkcR0zulFVGUnDb067m+A==';
const ecdsa521 =
  'AAAAE2VjZHNhLXNoYTItbmlzdHA1MjEAAAAIbmlzdHA1MjEAAACFBAAxzmR5wr8V3KMFVdr6qJTbYnD+qFukbOfI5fPKXgErmjPaFJ2amja2YwVwFJwqt2e7Am8g8uLLYIXoJXqs3nZuWQH9Urp2AWyUzeMRcx4VujRzKwfBUNztIabGzWW/NxjVVWzotZ+2fU+yNa6nmCitiTv8fekhwVJ8Mho4nSyWBaoV6w==';
const rsa2048 =
  'AAAAB3NzaC1yc2EAAAADAQABAAABAQC286vV6AX39ql7zsZvjLUQOvVC3YvVHx8sLKKVHyOlOtPstGeTzjQLBegG0jBdne6Nf5uyknY3lNdm7HW9fCmjCyA+PDB8IiGbluZnm3q2EPstEzQ3mfiiQzfKdHUpNIQe2EXIPVMIZ+ygA1R5d8x/4OLYIlO7dCsBWl06bYQpzCjMFnCIsV2OKnX4cm67X4C0JARFHcqJ/wonbGgyyK6rIX8y8JJDhmkbseZuOuIB11DGDWOBcpoMlBFds3rVBHT41WOKLN/9ISN7EYJWOJ21J8PennbNLwpRsKgFIc4r0Oh7UBGJn4rSpRZoW41UxHDXoC1r3Btzwjba0djbWhhN';
const rsa1024 =
  'AAAAB3NzaC1yc2EAAAADAQABAAAAgQC2zHxr4srwfCMcuSsc4HvPTjDTAuARpSRZyVBbj433RvXQDF8TFpaDEU4bx2gAykR0FJoJtFLCM16XM3G8rPtVMXgyl06Eku2B4XJmLg6mz0LmOlPZojPhuO2AlBxdE+IblGxsvJhu2JO8mpwPgcqHkLQH0ln8OMU3RIflLzdtMQ==';

const field = (content: string | Buffer) => {
  const bytes = Buffer.from(content);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
};
const keyOf = (...fields: (string | Buffer)[]) => Buffer.concat(fields.map(field)).toString('base64');
const point = Buffer.from(ecdsa256, 'base64').subarray(-65);
const securityKey = keyOf('sk-ssh-ed25519@openssh.com', Buffer.alloc(32, 7), 'ssh:');
const securityEcdsa = keyOf('sk-ecdsa-sha2-nistp256@openssh.com', 'nistp256', point, 'ssh:');

describe('a public key', () => {
  it.each([
    ['ssh-ed25519', ed25519, 'SHA256:UT4eDNWy1ZnoKVpY1m6pv6pOakxT6fJDdxtiJ9lEgWA'],
    ['ecdsa-sha2-nistp256', ecdsa256, 'SHA256:r52WKjtq4i7oJgB674t8GKLk4KduKti37aQqZe8PYrY'],
    ['ecdsa-sha2-nistp384', ecdsa384, 'SHA256:pfLWVDkktjIbdX8bVPZOdQY2E+bBXeVIwrLLG3FO9z8'],
    ['ecdsa-sha2-nistp521', ecdsa521, 'SHA256:ixPS1ZorTEOLuBH1TmwWhb2Da9XKW4YdjesM1NWKaps'],
    ['ssh-rsa', rsa2048, 'SHA256:jaG+OpCTVoV5hp0yq2rwn5pmtRPgLJKssJg8ANTbtKI'],
  ])('of type %s is read', (type, encoded, fingerprint) => {
    const key = parseSshKey(`${type} ${encoded} alice@laptop`);
    expect(key).toMatchObject({ type, fingerprint, comment: 'alice@laptop' });
    expect(key.blob).toEqual(Buffer.from(encoded, 'base64'));
  });

  it.each([
    ['sk-ssh-ed25519@openssh.com', securityKey],
    ['sk-ecdsa-sha2-nistp256@openssh.com', securityEcdsa],
  ])('of a security key (%s) is read', (type, encoded) => {
    expect(parseSshKey(`${type} ${encoded}`)).toMatchObject({ type, comment: '' });
  });

  it('is kept as a line of its own form, comment and all', () => {
    expect(parseSshKey(`  ssh-ed25519\t${ed25519}   alice@laptop  of hers \r\n`)).toMatchObject({
      line: `ssh-ed25519 ${ed25519} alice@laptop of hers`,
      comment: 'alice@laptop of hers',
    });
  });

  it.each([
    ['is empty', ' ', /is one line such as/],
    ['has two lines', `ssh-ed25519 ${ed25519}\nssh-ed25519 ${ed25519}`, /is one line such as/],
    ['holds control characters', `ssh-ed25519 ${ed25519} a\u001b[2J`, /is one line such as/],
    ['is a megabyte', `ssh-ed25519 ${ed25519} ${'x'.repeat(2 ** 20)}`, /is one line such as/],
    ['is a private one', '-----BEGIN OPENSSH PRIVATE KEY-----', /private key.*'\.pub'/],
    ['has options', `from="10.0.0.1",command="x y" ssh-ed25519 ${ed25519}`, /has options before it/],
    ['has one option', `restrict ssh-ed25519 ${ed25519}`, /has options before it/],
    ['is DSA', 'ssh-dss AAAAB3NzaC1kc3MAAACB', /DSA keys are not safe/],
    ['is a certificate', `ssh-ed25519-cert-v01@openssh.com ${ed25519}`, /is a certificate/],
    ['is of a type from elsewhere', `constructor ${ed25519}`, /no kind of public key that is taken/],
    ['is RSA of 1024 bits', `ssh-rsa ${rsa1024}`, /it has 1024 bits/],
    [
      'is RSA of 20000 bits',
      `ssh-rsa ${keyOf('ssh-rsa', Buffer.from([1, 0, 1]), Buffer.alloc(2_500, 1))}`,
      /serve nobody/,
    ],
    [
      'is RSA of a negative number',
      `ssh-rsa ${keyOf('ssh-rsa', Buffer.from([3]), Buffer.alloc(256, 255))}`,
      /it has 0 bits/,
    ],
    [
      'is RSA of an even exponent',
      `ssh-rsa ${keyOf('ssh-rsa', Buffer.from([4]), Buffer.alloc(257, 1))}`,
      /none of an RSA key/,
    ],
    ['is no base64', 'ssh-ed25519 AAAA*AAAA', /not base64/],
    ['has no second word', 'ssh-ed25519', /not base64/],
    ['is cut off', `ssh-ed25519 ${ed25519.slice(0, -8)}`, /it is cut off/],
    ['is of another type than its line says', `ssh-rsa ${ed25519}`, /of another type than its line says/],
    ['is too short', `ssh-ed25519 ${keyOf('ssh-ed25519', Buffer.alloc(31))}`, /not the length/],
    ['has something behind it', `ssh-ed25519 ${keyOf('ssh-ed25519', Buffer.alloc(32), 'more')}`, /behind its end/],
    [
      'is on another curve',
      `ecdsa-sha2-nistp256 ${keyOf('ecdsa-sha2-nistp256', 'nistp384', point)}`,
      /on another curve/,
    ],
    [
      'is not on its curve',
      `ecdsa-sha2-nistp256 ${keyOf('ecdsa-sha2-nistp256', 'nistp256', Buffer.concat([Buffer.from([4]), Buffer.alloc(64, 1)]))}`,
      /not on the curve/,
    ],
  ])('that %s is refused', (_what, text, message) => {
    expect(() => parseSshKey(text)).toThrow(message);
    expect(() => parseSshKey(text)).toThrow(expect.objectContaining({ code: 'InvalidParameter' }));
  });
});

it('reads a file of keys, with its comments and empty lines', () => {
  const text = `# hers\n\nssh-ed25519 ${ed25519} one\r\n  ecdsa-sha2-nistp256 ${ecdsa256}\n`;
  expect(parseSshKeys(text).map((key) => key.type)).toEqual(['ssh-ed25519', 'ecdsa-sha2-nistp256']);
  expect(() => parseSshKeys('-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n')).toThrow(/private key/);
});
