/** What people may change of their own accounts, on a real store with real seals. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { JsonObject } from '../core/json.ts';
import { verifyPassword } from '../identity/passwords.ts';
import type { SelfAnswer, SelfQuestion } from '../link/people.ts';
import { createIdentityService, type IdentityService } from '../providers/identity/identity-service.ts';
import { findPerson } from '../providers/identity/people.ts';
import { openKeyring } from '../secrets/keyring.ts';
import { createSecrets, type Secrets } from '../secrets/secrets.ts';
import { openStore, type Store } from '../store/store.ts';
import { createAnswerSelf } from './answer-self.ts';

const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHf31+vO4thUwzEuIVzHcght++OvQqMvFDKtZlWXIZbv alice';
const other = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ0dqOPMA8xJT4Nr8tqV0Z9EEiOTjFCgZxT1n8PVyLZ at home';
const fingerprint = 'SHA256:UT4eDNWy1ZnoKVpY1m6pv6pOakxT6fJDdxtiJ9lEgWA';
const pool = '/subscriptions/s/resourcegroups/lab/providers/microsoft.compute/virtualmachinescalesets/team';
const password = 'Old-Horse-7';

describe('what people change of their own accounts', { timeout: 60_000 }, () => {
  let folder: string;
  let store: Store;
  let secrets: Secrets;
  let identity: IdentityService;
  let lines: JsonObject[];
  let answerSelf: (question: SelfQuestion) => Promise<SelfAnswer>;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'poolhouse-self-'));
    store = await openStore(join(folder, 'store.sqlite'));
    secrets = createSecrets((await openKeyring(store, [Buffer.alloc(32, 7)], 1)).keyring);
    lines = [];
    identity = createIdentityService({
      store,
      secrets,
      fetch: () => Promise.reject(new Error('nothing is fetched for people')),
      clock: { now: () => Date.UTC(2026, 0, 1), sleep: () => Promise.resolve() },
      log: pino({ level: 'info' }, { write: (line: string) => lines.push(JSON.parse(line) as JsonObject) }),
      changed: () => Promise.resolve(),
    });
    answerSelf = createAnswerSelf({ store, secrets, users: identity.users });
  });
  afterEach(async () => {
    await store.close();
    rmSync(folder, { recursive: true });
  });

  const make = async (properties: JsonObject) => {
    await identity.users.put('alice', { properties }, {}, { by: 'the operator' });
    lines.splice(0);
  };
  const ask = (asks: SelfQuestion['asks'], user = 'alice') =>
    answerSelf({ pool, user, protocol: 'ssh', client: '192.0.2.7', asks });
  const hash = async () => (await findPerson(store.db, secrets, 'alice'))?.user.passwordHash;
  const keys = async () => (await findPerson(store.db, secrets, 'alice'))?.user.sshKeys;
  const audits = () => lines.map(({ audit, by, changed }) => ({ audit, by, changed }));

  it('is a password, by the old one', async () => {
    await make({ password, sshKeys: [key], sudo: true });
    expect(await ask({ for: 'password', old: 'Wrong-Horse-7', new: 'New-Horse-77' })).toMatchObject({
      outcome: 'wrong password',
    });
    expect(await ask({ for: 'password', new: 'New-Horse-77' })).toMatchObject({ outcome: 'wrong password' });
    expect(lines).toEqual([]);
    expect(await ask({ for: 'password', old: password, new: 'New-Horse-77' })).toMatchObject({ outcome: 'done' });
    expect(await verifyPassword('New-Horse-77', await hash())).toBe(true);
    expect(audits()).toEqual([{ audit: 'user changed', by: 'alice, over ssh from 192.0.2.7', changed: ['password'] }]);
    expect(JSON.stringify(lines)).not.toContain('Horse');
    expect(await identity.users.get('alice')).toMatchObject({ properties: { sudo: true, sshKeys: [key] } });
  });

  it('is a first password, without any', async () => {
    await make({ sshKeys: [key] });
    expect(await ask({ for: 'password', new: 'New-Horse-77' })).toMatchObject({
      outcome: 'done',
      account: { user: 'alice', hasPassword: true },
    });
    expect(await verifyPassword('New-Horse-77', await hash())).toBe(true);
  });

  it('is no password that is not good enough', async () => {
    await make({ password });
    for (const chosen of [password, 'short', 'alice-alice'])
      expect(await ask({ for: 'password', old: password, new: chosen })).toMatchObject({ outcome: 'refused' });
    expect(await verifyPassword(password, await hash())).toBe(true);
  });

  it('is keys: more of them, and less', async () => {
    await make({ sshKeys: [key] });
    const more = await ask({ for: 'more keys', lines: `# mine\n${other}\n${key}\n` });
    expect(more).toMatchObject({ outcome: 'done', account: { keys: [{ comment: 'alice' }, { comment: 'at home' }] } });
    expect(await keys()).toEqual([key, other]);
    expect(await ask({ for: 'more keys', lines: other })).toMatchObject({ message: 'You have that key already.' });
    expect(await ask({ for: 'less keys', fingerprint })).toMatchObject({ message: `Removed: ${fingerprint}` });
    expect(await keys()).toEqual([other]);
    expect(audits().map(({ changed }) => changed)).toEqual([['sshKeys'], ['sshKeys']]);
  });

  it.each([
    ['https://keys.example/alice.keys', 'no kind of public key'],
    ['-----BEGIN OPENSSH PRIVATE KEY-----', 'private key'],
    ['', 'no public key'],
  ])('is no key that is none: %j', async (text, why) => {
    await make({ sshKeys: [key] });
    expect(await ask({ for: 'more keys', lines: text })).toMatchObject({
      outcome: 'refused',
      message: expect.stringContaining(why) as string,
    });
    expect(await keys()).toEqual([key]);
  });

  it('has a limit on keys', async () => {
    await make({ sshKeys: [key] });
    const many = Array.from({ length: 100 }, (_, index) => {
      const blob = Buffer.from(other.split(' ')[1] ?? '', 'base64');
      blob.writeUInt32BE(index, blob.length - 4);
      return `ssh-ed25519 ${blob.toString('base64')}`;
    });
    expect(await ask({ for: 'more keys', lines: many.join('\n') })).toMatchObject({
      outcome: 'refused',
      message: 'A user has at most 100 public keys.',
    });
  });

  it('leaves a way in', async () => {
    await make({ sshKeys: [key] });
    expect(await ask({ for: 'less keys', fingerprint })).toMatchObject({ outcome: 'refused' });
    expect(await ask({ for: 'less keys', fingerprint: 'SHA256:none' })).toMatchObject({ outcome: 'refused' });
    await make({ sshKeys: [key], password });
    expect(await ask({ for: 'less keys', fingerprint: fingerprint.slice(0, 15) })).toMatchObject({ outcome: 'done' });
  });

  it('is nothing for the admin user of a template, and for who may not enter', async () => {
    expect(await ask({ for: 'account' }, 'azure')).toMatchObject({
      outcome: 'refused',
      message: expect.stringContaining('belongs to the template') as string,
    });
    await make({ password, pools: ['lab/other'] });
    expect(await ask({ for: 'password', old: password, new: 'New-Horse-77' })).toMatchObject({ outcome: 'refused' });
    await make({ password, disabled: true });
    expect(await ask({ for: 'account' })).toMatchObject({ outcome: 'refused' });
  });

  it('does not lose one of two changes at once', async () => {
    await make({ sshKeys: [], password });
    await Promise.all([ask({ for: 'more keys', lines: key }), ask({ for: 'more keys', lines: other })]);
    expect(await keys()).toEqual([key, other]);
  });
});
