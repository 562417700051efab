import { randomBytes } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { WebIdentity } from '../../link/people.ts';
import { createSignInReader } from './sign-in-reader.ts';
import { issueToken } from './sign-in-token.ts';

const identityOf = (key: Buffer): WebIdentity => ({
  ...{ certificate: '', certificateKey: '', assertionKey: '' },
  cookieKey: key.toString('base64'),
});
const alice = { name: 'alice', pools: 'all' as const, keys: [] };
const now = 1_000_000;

describe('a cookie, also one that was read before,', () => {
  const key = randomBytes(32);
  const identity = identityOf(key);
  const cookie = issueToken(key, '/pools/team', alice, now);
  const altered = `${cookie.slice(0, -1)}${cookie.endsWith('A') ? 'B' : 'A'}`;

  it('counts in its pool, until its end, with its key, and whole', () => {
    const reader = createSignInReader();
    for (let time = 0; time < 2; time += 1) {
      const read = reader.read(identity, '/pools/team', cookie, now);
      expect(read?.token.user).toBe('alice');
      expect(read?.mark).toHaveLength(16);
      expect(reader.read(identity, '/pools/other', cookie, now)).toBeUndefined();
      expect(reader.read(identity, '/pools/team', cookie, (read?.token.expires ?? 0) + 1)).toBeUndefined();
      expect(reader.read(identity, '/pools/team', altered, now)).toBeUndefined();
      expect(reader.read(identity, '/pools/team', undefined, now)).toBeUndefined();
    }
    expect(reader.read(identityOf(randomBytes(32)), '/pools/team', cookie, now)).toBeUndefined();
    expect(reader.read(identity, '/pools/team', cookie, now)?.token.user).toBe('alice');
  });

  it('is verified again when many others came since', () => {
    const reader = createSignInReader(1);
    const other = issueToken(key, '/pools/team', { ...alice, name: 'bob' }, now);
    for (const [text, user] of [
      [cookie, 'alice'],
      [other, 'bob'],
      [cookie, 'alice'],
    ] as const)
      // prettier-ignore
      expect(reader.read(identity, '/pools/team', text, now)?.token.user).toBe(user);
  });
});
