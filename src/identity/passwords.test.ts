import { describe, expect, it } from 'vitest';
import { checkPassword, hashPassword, verifyPassword } from './passwords.ts';

describe('a password', () => {
  it.each(['12345678', 'correct horse', 'ä'.repeat(512), '🐎'.repeat(8), ' leading and trailing '])(
    'may be %j',
    (one) => {
      expect(() => {
        checkPassword(one);
      }).not.toThrow();
    },
  );
  it.each([
    ['is too short', '1234567', /at least 8 characters/],
    ['is short in characters, not in bytes', '🐎'.repeat(7), /at least 8 characters/],
    ['is too long', 'ä'.repeat(513), /at most 1024 bytes/],
    ['holds a NUL', 'abcdefgh\0', /no NUL/],
  ])('is refused where it %s', (_what, password, message) => {
    const check = () => {
      checkPassword(password);
    };
    expect(check).toThrow(message);
    expect(check).not.toThrow(password);
  });
});

describe('a hash', { timeout: 60_000 }, () => {
  it('is verified by the password it was made of, and by no other', async () => {
    const hash = await hashPassword('correct horse');
    expect(hash).toMatch(/^\$scrypt\$ln=15,r=8,p=3\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    expect(await verifyPassword('correct horse', hash)).toBe(true);
    for (const wrong of ['Correct horse', 'correct horse ', '', 'x'.repeat(5_000)])
      expect(await verifyPassword(wrong, hash)).toBe(false);
  });

  it('has a salt of its own', async () => {
    expect(await hashPassword('correct horse')).not.toBe(await hashPassword('correct horse'));
  });

  it('of other parameters stays good', async () => {
    // RFC 7914, section 12: scrypt("pleaseletmein", "SodiumChloride", 16384, 8, 1, 64).
    const hash = Buffer.from(
      '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887',
      'hex',
    );
    const text = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');
    const phc = `$scrypt$ln=14,r=8,p=1$${text(Buffer.from('SodiumChloride'))}$${text(hash)}`;
    expect(await verifyPassword('pleaseletmein', phc)).toBe(true);
  });

  it('that is absent is verified by nothing, in the same time', async () => {
    const timed = async (hash: string | undefined) => {
      const began = process.cpuUsage();
      expect(await verifyPassword('a wrong one', hash)).toBe(false);
      const { user, system } = process.cpuUsage(began);
      return user + system;
    };
    const hash = await hashPassword('correct horse');
    const [present, absent] = [await timed(hash), await timed(undefined)];
    // A machine under load makes times vary; without the work, absent would be a thousandth of present.
    expect(absent).toBeGreaterThan(present / 4);
    expect(await verifyPassword('', undefined)).toBe(false);
  });

  it('that is none of ours is a defect, not a wrong password', async () => {
    await expect(verifyPassword('a password', '$6$salt$hash')).rejects.toThrow('cannot be read');
  });
});
