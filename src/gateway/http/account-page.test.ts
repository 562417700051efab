/** What somebody changes of their own account in a browser, with a control that is a function of the test. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { OwnAccount, SelfAnswer, SelfQuestion } from '../../link/people.ts';
import { Browser, cheapHash, openDoor, password, signedIn, type Door } from './test-support.ts';

const account: OwnAccount = {
  user: 'alice',
  hasPassword: true,
  keys: [{ type: 'ssh-ed25519', fingerprint: 'SHA256:abc', comment: '<b>at home</b>' }],
};
const path = '/poolhouse/account';

describe('the own account', () => {
  let door: Door;
  let alice: Browser;
  let asked: SelfQuestion['asks'][];
  let say: (asks: SelfQuestion['asks']) => SelfAnswer;
  beforeEach(async () => {
    asked = [];
    say = () => ({ outcome: 'done', message: 'It is done.', account });
    door = await openDoor(1, {
      ownAccounts: {
        keep: () => Promise.resolve({ outcome: 'refused', message: 'Nothing is kept here.' }),
        ask: (_who, asks) => {
          if (asks.for !== 'account') asked.push(asks);
          return Promise.resolve(say(asks));
        },
      },
    });
    alice = await signedIn(door);
  });

  const post = async (fields: Record<string, string>, headers: Record<string, string> = {}) => {
    const page = await alice.send('GET', path);
    const proof = /name="proof" value="([^"]+)"/.exec(page.text)?.[1] ?? '';
    return alice.send('POST', path, new URLSearchParams({ proof, ...fields }).toString(), {
      'content-type': 'application/x-www-form-urlencoded',
      origin: `https://${alice.host}`,
      ...headers,
    });
  };

  it('is shown to who has signed in, as text and framed by nobody', async () => {
    const page = await alice.send('GET', path);
    expect(page.text).toContain('SHA256:abc');
    expect(page.text).toContain('&lt;b&gt;at home');
    expect(page.headers['content-security-policy']).toContain("frame-ancestors 'none'");
    const stranger = await new Browser(door).send('GET', path);
    expect([stranger.status, stranger.headers['location']]).toEqual([
      303,
      '/poolhouse/signin?next=%2Fpoolhouse%2Faccount',
    ]);
  });

  it('takes keys and gives them up, by the password', async () => {
    expect((await post({ do: 'add', keys: 'ssh-ed25519 AAAA', password })).text).toContain('It is done.');
    expect((await post({ do: 'remove', fingerprint: 'SHA256:abc', password })).status).toBe(200);
    expect(asked).toEqual([
      { for: 'more keys', lines: 'ssh-ed25519 AAAA' },
      { for: 'less keys', fingerprint: 'SHA256:abc' },
    ]);
  });

  it.each([
    ['without the password', { do: 'add', keys: 'ssh-ed25519 AAAA' }, {}, 403],
    ['with a wrong one', { do: 'remove', fingerprint: 'SHA256:abc', password: 'guessed' }, {}, 403],
    ['from another site', { do: 'add', keys: 'x', password }, { origin: 'https://evil.example' }, 403],
    ['without our proof', { do: 'add', keys: 'x', password, proof: 'made-up' }, {}, 403],
    ['that says not what', { password }, {}, 400],
    ['with another form', { do: 'add' }, { 'content-type': 'application/json' }, 415],
    ['that is endless', { do: 'add', keys: 'x'.repeat(80_000), password }, {}, 413],
    ['with two new passwords', { do: 'password', password, new: 'New-Horse-77', again: 'New-Horse-78' }, {}, 400],
  ])('is changed by no form %s', async (_what, fields: Record<string, string>, headers, status) => {
    const reply = await post(fields, headers);
    expect(reply.status).toBe(status);
    expect(reply.text).not.toContain('Horse');
    expect(asked).toEqual([]);
  });

  it('gets another password, and only this browser stays signed in', async () => {
    const other = await signedIn(door);
    say = (asks) => {
      if (asks.for === 'password' && asks.old !== password) return { outcome: 'wrong password', message: 'Not yours.' };
      if (asks.for === 'password')
        setTimeout(() => {
          const users = door.directory.users.map((user) =>
            user.name === 'alice' ? { ...user, passwordHash: cheapHash(asks.new) } : user,
          );
          door.view.take({ ...door.directory, users });
        }, 100);
      return { outcome: 'done', message: 'Changed.', account };
    };
    const fields = { do: 'password', new: 'New-Horse-77', again: 'New-Horse-77' };
    expect((await post({ ...fields, password: 'guessed' })).text).toContain('Not yours.');
    const changed = await post({ ...fields, password });
    expect([changed.status, changed.headers['location']]).toEqual([303, '/poolhouse/account?changed=password']);
    expect((await alice.send('GET', String(changed.headers['location']))).text).toContain('Your password was changed.');
    expect((await other.send('GET', path)).status).toBe(303);
  });

  it('that belongs to a template is said so', async () => {
    say = () => ({ outcome: 'refused', message: 'It belongs to the template of this pool.' });
    expect((await alice.send('GET', path)).text).toContain('belongs to the template');
  });
});
