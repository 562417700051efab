/** What strangers may try at the door: judged by ssh-audit, held open, guessed at. */
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { hashPassword } from '../../identity/passwords.ts';
import type { Directory } from '../../link/people.ts';
import { createAttemptLimit } from '../people/attempt-limit.ts';
import { createDirectoryView } from '../people/directory-view.ts';
import { createSignIn } from '../people/sign-in.ts';
import { silentLog, until } from '../test-support.ts';
import { connectSsh, generateKey, parseKey } from './library.ts';
import { servedPool, servePeople } from './serve-people.ts';

const password = 'Correct-Horse-7';
const pem = (key: { export(options: { type: 'pkcs8'; format: 'pem' }): string | Buffer }) =>
  key.export({ type: 'pkcs8', format: 'pem' }) as string;
let directory: Directory;
beforeAll(async () => {
  directory = {
    revision: '1',
    users: [{ name: 'alice', pools: [servedPool], keys: [], passwordHash: await hashPassword(password) }],
    hostKeys: [
      pem(generateKeyPairSync('ed25519').privateKey),
      pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey),
      pem(generateKeyPairSync('rsa', { modulusLength: 3072 }).privateKey),
    ],
    userAuthority: pem(generateKeyPairSync('ed25519').privateKey),
    userAuthorities: [],
    instanceKeys: {},
  };
});

/** A client that says this and then nothing. */
function knock(port: number, words = ''): { socket: Socket; isClosed: () => boolean } {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  socket.resume();
  socket.write(words);
  onTestFinished(() => void socket.destroy());
  return { socket, isClosed: () => socket.closed };
}

describe('the door', { timeout: 120_000 }, () => {
  const audit = '/usr/bin/ssh-audit';
  it.skipIf(!existsSync(audit))(
    `has no fail and no warning of ssh-audit${existsSync(audit) ? '' : ' (left out: it is not installed)'}`,
    async () => {
      const { port } = await servePeople(directory);
      const child = spawn(audit, ['-n', '-p', String(port), '127.0.0.1']);
      let text = '';
      child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
      await once(child, 'close');
      expect(text).toContain('(kex) curve25519-sha256');
      const complaints = text.split('\n').filter((line) => /\[(fail|warn)\]/.test(line));
      // What came after the program that judges: it warns of what it does not know.
      const younger = /^\(kex\) (mlkem768x25519-sha256|kex-strict-s-v00@openssh.com) +-- \[warn\] unknown algorithm/;
      expect(complaints.filter((line) => !younger.test(line))).toEqual([]);
    },
  );

  it('offers no host key by SHA-1, nor on a curve of NIST', async () => {
    const { port } = await servePeople(directory);
    const { socket } = knock(port, 'SSH-2.0-Curious\r\n');
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
    // The first packet names them, in the clear.
    await until('it is told', () => text.includes('ssh-ed25519'));
    expect(text).toContain('ssh-ed25519,rsa-sha2-512,rsa-sha2-256\0');
  });

  it.each([
    ['nothing', ''],
    ['half a greeting', 'SSH-2.0-Slow'],
    ['a greeting only', 'SSH-2.0-Slow\r\n'],
    ['lines without an end', 'x'.repeat(300)],
  ])('ends who says %s for long', async (_, words) => {
    const { port, protocol } = await servePeople(directory, { graceMs: 300 });
    const { isClosed } = knock(port, words);
    await until('it is closed', isClosed);
    await until('it is forgotten', () => protocol.pending === 0);
  });

  it('ends also who goes on saying a little', async () => {
    const { port } = await servePeople(directory, { graceMs: 500 });
    const { socket, isClosed } = knock(port, 'SSH-2.0-Slow\r\n');
    while (!isClosed()) {
      socket.write('\0');
      await sleep(20);
    }
  });

  it('lets somebody in while others hold hundreds of connections open', async () => {
    let address = '192.0.2.66';
    const limits = { from: 50, to: 100, few: 8 };
    const { port, protocol } = await servePeople(directory, { unknownPeople: limits, graceMs: 20_000 }, () => address);
    const held = Array.from({ length: 300 }, () => knock(port));
    await until('all were looked at', () => held.filter(({ isClosed }) => !isClosed()).length === protocol.pending);
    expect(protocol.pending).toBeGreaterThanOrEqual(limits.from);
    expect(protocol.pending).toBeLessThanOrEqual(limits.to);
    address = '198.51.100.7';
    const client = connectSsh(connect(port, '127.0.0.1'), {
      username: 'alice',
      attempts: [{ type: 'password', password }],
      verifyHostKey: (_key, decide) => {
        decide(true);
      },
    });
    await once(client, 'ready');
    client.end();
  });
});

describe('a key of ours for one connection', () => {
  it('can be read, each of them', () => {
    for (let count = 0; count < 1_000; count += 1) {
      const { private: own, public: shown } = generateKey();
      expect(parseKey(shown).getPublicSSH()).toEqual(parseKey(own).getPublicSSH());
    }
  });
});

describe('a thousand wrong passwords', { timeout: 120_000 }, () => {
  it('wait ever longer, keep no colleague waiting who was there before, and take no memory', async () => {
    let now = 0;
    const clock = { now: () => now, sleep: () => Promise.resolve() };
    const limit = createAttemptLimit(clock);
    const view = createDirectoryView();
    view.take(directory);
    const signIn = createSignIn({ directory: view, limit, log: silentLog });
    const office = '203.0.113.9';
    const attempt = (user: string) => ({ pool: servedPool, user, address: office, protocol: 'ssh' as const });
    signIn.signedIn(attempt('alice'), 'password');

    const waited: number[] = [];
    const heapBefore = process.memoryUsage().heapUsed;
    for (let count = 0; count < 1_000; count += 1) {
      // What byPassword does, without the third of a second that a look takes and with time that passes by itself.
      const delay = limit.delay(office, 'mallory');
      waited.push(delay);
      now += delay;
      signIn.failed(attempt('mallory'), 'password');
      expect(limit.delay(office, 'alice')).toBe(0);
    }
    expect(waited.slice(0, 8)).toEqual([0, 0, 0, 1_000, 2_000, 4_000, 8_000, 16_000]);
    expect(waited.slice(8).every((delay) => delay === 30_000)).toBe(true);
    // Nine hours of waiting for a thousand guesses.
    expect(now).toBeGreaterThan(8 * 3_600_000);
    expect(process.memoryUsage().heapUsed - heapBefore).toBeLessThan(20 * 2 ** 20);
    expect(await signIn.byPassword(attempt('alice'), password, new AbortController().signal)).toBe(true);
  });

  it('at once are looked at two by two, and those that are too many not at all', async () => {
    const view = createDirectoryView();
    view.take(directory);
    const refused: unknown[] = [];
    const signIn = createSignIn({
      directory: view,
      limit: { delay: () => 0, failed: () => undefined, succeeded: () => undefined },
      log: { ...silentLog, info: (fields: object) => void refused.push((fields as { how: string }).how) },
      mostWaiting: 4,
    });
    const { signal } = new AbortController();
    const guesses = Array.from({ length: 1_000 }, (_, index) =>
      signIn.byPassword(
        { pool: servedPool, user: `user${index}`, address: `198.51.100.${index % 250}`, protocol: 'ssh' },
        'Wrong-Horse-7',
        signal,
      ),
    );
    expect(new Set(await Promise.all(guesses))).toEqual(new Set([false]));
    expect(refused.filter((how) => how === 'password')).toHaveLength(6);
    expect(refused).toHaveLength(1_000);
  });
});
