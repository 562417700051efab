/** SSH that knows people, with the real clients of OpenSSH; the instance behind it is a small server of the test. */
import { spawn } from 'node:child_process';
import { createHash, createPrivateKey, generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest';
import { systemClock } from '../../core/system-clock.ts';
import { hashPassword } from '../../identity/passwords.ts';
import type { Directory, SelfAnswer, SelfQuestion } from '../../link/people.ts';
import { createConnectionLedger } from '../connection-ledger.ts';
import { createAttemptLimit } from '../people/attempt-limit.ts';
import { createDirectoryView } from '../people/directory-view.ts';
import { createOwnAccounts } from '../people/own-account.ts';
import type { Placer } from '../people/placer.ts';
import { createSessionLedger, type SessionLedger } from '../people/session-ledger.ts';
import { createSignIn } from '../people/sign-in.ts';
import { nobodyObserves, tcpRoute, until } from '../test-support.ts';
import { formatCertificate, signCertificate, userExtensions, type CertificateRequest } from './certificates.ts';
import { startFakeSshd, type FakeSshd } from './fake-instance.ts';
import { generateKey, parseKey } from './library.ts';
import { encodePublicKey } from './ssh-keys.ts';
import { createSshProtocol } from './ssh-protocol.ts';

const pool = '/pools/team';
const password = 'Correct-Horse-7';
const isReady = ['/usr/bin/ssh', '/usr/bin/scp', '/usr/bin/sshpass', '/usr/lib/openssh/sftp-server'].every(existsSync);
const pem = (key: { export(options: { type: 'pkcs8'; format: 'pem' }): string | Buffer }) =>
  key.export({ type: 'pkcs8', format: 'pem' }) as string;

let folder: string;
let sshd: FakeSshd;
let sessions: SessionLedger;
let directory: Directory;
let place: Placer['place'];
let answerSelf: (question: SelfQuestion) => SelfAnswer;
let asked: SelfQuestion[];
let port: number;
let logged: { fields: Record<string, unknown>; message: string }[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'poolhouse-ssh-'));
  const authority = generateKeyPairSync('ed25519').privateKey;
  sshd = await startFakeSshd(encodePublicKey(authority).blob);
  const own = generateKey('alice@laptop');
  await writeFile(join(folder, 'key'), own.private, { mode: 0o600 });
  const keyLine = `ssh-ed25519 ${parseKey(own.public).getPublicSSH().toString('base64')}`;
  directory = {
    revision: '1',
    users: [
      { name: 'alice', pools: [pool], keys: [keyLine], passwordHash: await hashPassword(password) },
      { name: 'bob', pools: ['/pools/other'], keys: [keyLine] },
    ],
    hostKeys: [
      pem(generateKeyPairSync('ed25519').privateKey),
      pem(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey),
    ],
    userAuthority: pem(authority),
    userAuthorities: [],
    instanceKeys: { 'i-0': [sshd.hostKeyLine] },
  };
  place = () => Promise.resolve({ outcome: 'placed', instance: 'i-0' });
  asked = [];
  answerSelf = () => ({ outcome: 'refused', message: 'This was not to be asked.' });
  logged = [];
  await serve();
});
afterEach(() => rm(folder, { recursive: true }));

async function serve(): Promise<void> {
  const view = createDirectoryView();
  view.take(directory);
  const say = (fields: object, message: string) =>
    void logged.push({ fields: fields as Record<string, unknown>, message });
  const log = { debug: say, info: say, warn: say, error: say };
  sessions = createSessionLedger(
    () => systemClock.now(),
    () => undefined,
  );
  const route = {
    ...tcpRoute(1, []),
    protocol: 'ssh' as const,
    pool,
    backends: [{ instance: 'i-0', address: '127.0.0.1', port: sshd.port, accepting: true }],
  };
  const limit = createAttemptLimit(systemClock);
  const client = {
    send: (_method: string, _path: string, { body }: { body?: unknown }) => {
      asked.push(body as SelfQuestion);
      return Promise.resolve({ status: 200, body: answerSelf(body as SelfQuestion) });
    },
    close: () => undefined,
  };
  const protocol = createSshProtocol({
    directory: view,
    signIn: createSignIn({ directory: view, limit, log }),
    ownAccounts: createOwnAccounts({ client, limit }),
    placer: { place: (request, signal) => place(request, signal) },
    sessions,
    ledger: createConnectionLedger(() => undefined),
    observer: nobodyObserves,
    log,
    clock: systemClock,
    newTicket: () => 'ticket',
    routeNow: () => route,
  });
  const listener = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => undefined);
    protocol.accept({ socket, route, client: { address: '127.0.0.1', port: socket.remotePort ?? 0 } });
  });
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => {
    listener.close();
  });
  port = (listener.address() as AddressInfo).port;
}

interface Result {
  code: number | null;
  stdout: string;
  stderr: string;
}

function start(program: string, argv: string[], env: Record<string, string> = {}) {
  const child = spawn(program, argv, { env: { ...process.env, ...env } });
  const told = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (told.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (told.stderr += chunk.toString()));
  const done = new Promise<Result>((resolve) => {
    child.once('close', (code) => {
      resolve({ code, ...told });
    });
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return { child, told, done };
}
const options = (...more: string[]) => [
  ...['-F', 'none', '-o', `UserKnownHostsFile=${join(folder, 'known')}`, '-o', 'StrictHostKeyChecking=accept-new'],
  ...['-o', 'LogLevel=ERROR', '-o', 'IdentityAgent=none', ...more],
];
const withKey = () => options('-i', join(folder, 'key'), '-o', 'BatchMode=yes', '-p', String(port));
const ssh = (user: string, ...command: string[]) => start('ssh', [...withKey(), `${user}@127.0.0.1`, ...command]);
const bySecret = (user: string, secret: string, ...command: string[]) =>
  start(
    'sshpass',
    [
      '-e',
      'ssh',
      ...options('-p', String(port), '-o', 'PubkeyAuthentication=no', '-o', 'NumberOfPasswordPrompts=1'),
      `${user}@127.0.0.1`,
      ...command,
    ],
    { SSHPASS: secret },
  );

describe.skipIf(!isReady)(
  'ssh that knows people (needs the clients of OpenSSH and sshpass)',
  { timeout: 60_000 },
  () => {
    it('runs a command as the person, with its output, its errors and its end', async () => {
      const result = await ssh('alice', 'echo hello; echo trouble >&2; exit 7').done;
      expect(result).toEqual({ code: 7, stdout: 'hello\n', stderr: 'trouble\n' });
      await until('the session is over', () => sessions.size === 0 && sshd.connections.size === 0);
      expect(logged.map(({ fields }) => fields['audit']).filter(Boolean)).toEqual([
        'signed in',
        'session begins',
        'session ends',
      ]);
    });

    it('signs in by password, and lets nobody in with another', async () => {
      expect(await bySecret('alice', password, 'echo in').done).toMatchObject({ code: 0, stdout: 'in\n' });
      expect(await bySecret('alice', 'Wrong-Horse-7', 'echo in').done).toMatchObject({ code: 5, stdout: '' });
      expect(JSON.stringify(logged)).not.toMatch(/Horse/);
      expect(logged.map(({ fields }) => fields['audit'])).toContain('refused');
    });

    it.each(['bob', 'carol', 'root', 'alice '])('lets nobody in as %j, who may not enter this pool', async (user) => {
      expect(await ssh(user, 'echo in').done).toMatchObject({ code: 255, stdout: '' });
      expect(sshd.connections.size).toBe(0);
    });

    it('shows one host key, whatever is behind it', async () => {
      await ssh('alice', 'true').done;
      const known = await readFile(join(folder, 'known'), 'utf8');
      sshd = await startFakeSshd(Buffer.from('none'));
      const argv = [...withKey(), '-o', 'StrictHostKeyChecking=yes', 'alice@127.0.0.1', 'true'];
      expect(await start('ssh', argv).done).toMatchObject({ code: 0 });
      expect(await readFile(join(folder, 'known'), 'utf8')).toBe(known);
    });

    it('trusts no instance that shows another host key than the engine told', async () => {
      directory.instanceKeys = {
        'i-0': [`ssh-ed25519 ${encodePublicKey(generateKeyPairSync('ed25519').publicKey).blob.toString('base64')}`],
      };
      await serve();
      const { code, stdout, stderr } = await ssh('alice', 'echo in').done;
      expect({ code, stdout }).toEqual({ code: 255, stdout: '' });
      expect(stderr).toContain('another host key');
      await until('nothing is left', () => sshd.connections.size === 0);
    });

    it('copies files both ways, whole', async () => {
      const bytes = randomBytes(20_000_000);
      await writeFile(join(folder, 'there'), bytes);
      const scp = (from: string, to: string) =>
        start('scp', ['-q', ...options('-i', join(folder, 'key'), '-P', String(port)), from, to]).done;
      expect(await scp(join(folder, 'there'), `alice@127.0.0.1:${join(folder, 'copied')}`)).toMatchObject({
        code: 0,
        stderr: '',
      });
      expect(await scp(`alice@127.0.0.1:${join(folder, 'copied')}`, join(folder, 'back'))).toMatchObject({ code: 0 });
      const digest = (of: Buffer) => createHash('sha256').update(of).digest('hex');
      expect(digest(await readFile(join(folder, 'back')))).toBe(digest(bytes));
    });

    it('forwards a port', async () => {
      const service = createServer((socket) => socket.end('from inside'));
      await once(service.listen(0, '127.0.0.1'), 'listening');
      onTestFinished(() => void service.close());
      const { port: inner } = service.address() as AddressInfo;
      const result = await start('ssh', [...withKey(), '-W', `127.0.0.1:${inner}`, 'alice@127.0.0.1']).done;
      expect(result).toEqual({ code: 0, stdout: 'from inside', stderr: '' });
    });

    it('tells who waits at a terminal what is happening, and lets them in', async () => {
      const ready = Promise.withResolvers<void>();
      place = async ({ onWaiting }) => {
        onWaiting('A machine is being made for you.');
        await ready.promise;
        return { outcome: 'placed', instance: 'i-0' };
      };
      const { child, told, done } = start('ssh', [...withKey(), '-tt', 'alice@127.0.0.1']);
      await until('it is told', () => (told.stdout + told.stderr).includes('A machine is being made for you.'));
      ready.resolve();
      child.stdin.write('echo $((6*7)); exit\n');
      const { code, stdout } = await done;
      expect({ code, answered: stdout.includes('42') }).toEqual({ code: 0, answered: true });
      expect(sshd.terminals).toHaveLength(1);
    });

    it('says nothing into the data of a program while it waits', async () => {
      place = async ({ onWaiting }) => {
        onWaiting('A machine is being made for you.');
        await new Promise((resolve) => setTimeout(resolve, 100));
        return { outcome: 'placed', instance: 'i-0' };
      };
      expect(await ssh('alice', 'echo data').done).toEqual({ code: 0, stdout: 'data\n', stderr: '' });
    });

    it('says why nobody could be placed', async () => {
      place = () => Promise.resolve({ outcome: 'refused', message: 'Its operator has switched this pool off.' });
      const { code, stderr } = await ssh('alice', 'true').done;
      expect({ code, stderr }).toEqual({ code: 255, stderr: 'Its operator has switched this pool off.\n' });
    });

    it('goes to another instance when one does not answer', async () => {
      const asked: (readonly string[])[] = [];
      place = ({ unusable }) => {
        const away = unusable();
        asked.push([...away]);
        return Promise.resolve({ outcome: 'placed', instance: away.length === 0 ? 'i-gone' : 'i-0' });
      };
      expect(await ssh('alice', 'echo in').done).toMatchObject({ code: 0, stdout: 'in\n' });
      expect(asked).toEqual([[], ['i-gone']]);
    });

    it('ends a session with a reason that is seen at a terminal', async () => {
      const { child, told, done } = start('ssh', [...withKey(), '-tt', 'alice@127.0.0.1']);
      child.stdin.write('echo ready-$((1+1))\n');
      await until('the shell runs', () => told.stdout.includes('ready-2'));
      const [session] = sessions.find(({ user }) => user === 'alice');
      expect(session).toMatchObject({ pool, instance: 'i-0', protocol: 'ssh', client: '127.0.0.1' });
      session?.tell('This machine goes in ten minutes.');
      await until('it is told', () => (told.stdout + told.stderr).includes('ten minutes'));
      session?.end('The machine is needed.');
      const { code, stdout, stderr } = await done;
      expect(code).toBe(255);
      expect(stdout + stderr).toContain('The machine is needed.');
      await until('nothing is left', () => sessions.size === 0 && sshd.connections.size === 0);
    });

    describe('asks the front door itself, without a machine', () => {
      const account = {
        user: 'alice',
        hasPassword: true,
        keys: [{ type: 'ssh-ed25519', fingerprint: 'SHA256:abc', comment: 'at home' }],
      };
      beforeEach(() => {
        place = () => Promise.reject(new Error('nobody was to be placed'));
        answerSelf = ({ asks }) =>
          asks.for === 'password' && asks.old !== password
            ? { outcome: 'wrong password', message: 'That is not your password until now.' }
            : { outcome: 'done', message: 'It is done.', account };
      });
      afterEach(() => {
        expect(sshd.connections.size).toBe(0);
        expect(JSON.stringify(logged)).not.toMatch(/Horse/);
      });
      const typing = (...lines: string[]) => {
        const { child, told, done } = start('ssh', [...withKey(), '-tt', 'alice@127.0.0.1', 'passwd']);
        const answer = async () => {
          for (const [index, line] of lines.entries()) {
            await until('it is asked', () => told.stdout.split(': ').length > index + 1);
            child.stdin.write(`${line}\r`);
          }
        };
        return Promise.all([done, answer()]).then(([result]) => result);
      };

      it('which keys there are', async () => {
        expect(await ssh('alice', 'keys').done).toEqual({
          code: 0,
          stdout: 'SHA256:abc ssh-ed25519 at home\n',
          stderr: '',
        });
        expect(asked).toEqual([
          { pool, user: 'alice', protocol: 'ssh', client: '127.0.0.1', asks: { for: 'account' } },
        ]);
      });

      it('for more keys, from stdin or said, and for less', async () => {
        const { child, done } = ssh('alice', 'keys add');
        child.stdin.end('ssh-ed25519 AAAA one\nssh-ed25519 BBBB two\n');
        expect(await done).toEqual({ code: 0, stdout: 'It is done.\n', stderr: '' });
        await ssh('alice', 'keys', 'add', 'ssh-ed25519 CCCC three').done;
        await ssh('alice', 'keys remove SHA256:abc').done;
        expect(asked.map(({ asks }) => asks)).toEqual([
          { for: 'more keys', lines: 'ssh-ed25519 AAAA one\nssh-ed25519 BBBB two\n' },
          { for: 'more keys', lines: 'ssh-ed25519 CCCC three' },
          { for: 'less keys', fingerprint: 'SHA256:abc' },
        ]);
      });

      it('for another password, typed unseen', async () => {
        const { code, stdout } = await typing(password, 'New-Horse-77', 'New-Horse-77');
        expect({ code, stdout }).toEqual({
          code: 0,
          stdout: 'Old password: \r\nNew password: \r\nNew password again: \r\nIt is done.\r\n',
        });
        expect(asked.at(-1)?.asks).toEqual({ for: 'password', old: password, new: 'New-Horse-77' });
      });

      it('for none, when what was typed differs', async () => {
        const { code, stdout, stderr } = await typing(password, 'New-Horse-77', 'New-Horse-78');
        expect(code).toBe(1);
        expect(stdout + stderr).toContain('not the same');
        expect(asked.map(({ asks }) => asks.for)).toEqual(['account']);
      });

      it('for another password, piped', async () => {
        const pipe = async (text: string) => {
          const { child, done } = ssh('alice', 'passwd --stdin');
          child.stdin.end(text);
          return done;
        };
        expect(await pipe(`${password}\nNew-Horse-77\n`)).toMatchObject({ code: 0, stdout: 'It is done.\n' });
        expect(await pipe(`Wrong-Horse-7\nNew-Horse-77\n`)).toEqual({
          code: 1,
          stdout: '',
          stderr: 'That is not your password until now.\n',
        });
        await pipe('New-Horse-77\n');
        expect(asked.map(({ asks }) => asks)).toEqual([
          { for: 'password', old: password, new: 'New-Horse-77' },
          { for: 'password', old: 'Wrong-Horse-7', new: 'New-Horse-77' },
          { for: 'password', new: 'New-Horse-77' },
        ]);
      });

      it('and is told how, where it cannot be so', async () => {
        expect(await ssh('alice', 'passwd').done).toMatchObject({
          code: 2,
          stderr: expect.stringContaining('ssh -t') as string,
        });
        expect(await ssh('alice', 'keys --help').done).toMatchObject({
          code: 0,
          stdout: expect.stringContaining('keys add') as string,
        });
        expect(asked).toEqual([]);
      });
    });

    describe('with a certificate of an authority that the operator trusts', () => {
      const authority = generateKeyPairSync('ed25519').privateKey;
      const certify = async (changes: Partial<CertificateRequest>) => {
        const own = await readFile(join(folder, 'certified.pub'), 'utf8');
        const request = {
          type: 'user' as const,
          key: Buffer.from(own.split(' ')[1] ?? '', 'base64'),
          serial: 7n,
          keyId: 'alice of the authority',
          principals: ['alice'],
          validFrom: 0,
          validTo: Date.now() + 600_000,
          extensions: userExtensions,
          ...changes,
        };
        await writeFile(join(folder, 'certified-cert.pub'), formatCertificate(signCertificate(request, authority)));
      };
      const withCertificate = (...more: string[]) => {
        const own = options('-i', join(folder, 'certified'), '-o', 'BatchMode=yes', '-p', String(port));
        return start('ssh', [...own, ...more]);
      };
      beforeEach(async () => {
        const own = generateKey();
        await writeFile(join(folder, 'certified'), own.private, { mode: 0o600 });
        await writeFile(join(folder, 'certified.pub'), own.public);
        directory.userAuthorities = [`ssh-ed25519 ${encodePublicKey(authority).blob.toString('base64')}`];
        await serve();
      });

      it('somebody comes in who is known', async () => {
        await certify({});
        expect(await withCertificate('alice@127.0.0.1', 'echo in').done).toMatchObject({ code: 0, stdout: 'in\n' });
        expect(logged.map(({ fields }) => fields['how'])).toContain('certificate alice of the authority (serial 7)');
        expect(sshd.grants).toEqual([{ forceCommand: undefined, extensions: new Set(userExtensions) }]);
        await certify({ principals: ['carol'] });
        expect(await withCertificate('carol@127.0.0.1', 'echo in').done).toMatchObject({ code: 255, stdout: '' });
      });

      it('they come from the networks that it names, and from no other', async () => {
        await certify({ sourceAddresses: ['192.0.2.0/24', '127.0.0.0/8'] });
        expect(await withCertificate('alice@127.0.0.1', 'echo in').done).toMatchObject({ code: 0 });
        await certify({ sourceAddresses: ['192.0.2.0/24'] });
        expect(await withCertificate('alice@127.0.0.1', 'echo in').done).toMatchObject({ code: 255, stdout: '' });
      });

      it('the instance is told which command it forces, and the front door answers none of its own', async () => {
        await certify({ forceCommand: 'backup' });
        expect(await withCertificate('alice@127.0.0.1', 'keys').done).toMatchObject({ code: 127 });
        expect(asked).toEqual([]);
        expect(sshd.grants).toMatchObject([{ forceCommand: 'backup' }]);
      });

      it('what it does not permit is refused here, and the instance is not told that it is permitted', async () => {
        await certify({ extensions: ['permit-user-rc'] });
        const terminal = await withCertificate('-tt', 'alice@127.0.0.1', 'echo in').done;
        expect(terminal).toMatchObject({ code: 255, stderr: expect.stringContaining('PTY allocation') as string });
        expect(sshd.terminals).toEqual([]);
        sshd.grants.splice(0);
        expect(await withCertificate('alice@127.0.0.1', 'echo in').done).toMatchObject({ code: 0, stdout: 'in\n' });
        expect(sshd.grants).toEqual([{ forceCommand: undefined, extensions: new Set(['permit-user-rc']) }]);
        const forwarded = withCertificate(
          '-o',
          'ExitOnForwardFailure=yes',
          '-N',
          '-R',
          '0:127.0.0.1:1',
          'alice@127.0.0.1',
        );
        expect(await forwarded.done).toMatchObject({ code: 255 });
        expect(await withCertificate('-W', '127.0.0.1:1', 'alice@127.0.0.1').done).toMatchObject({ code: 255 });
      });
    });

    it('shows the certificate of its host key to who trusts its authority, and keeps it back once it has ended', async () => {
      const authority = generateKeyPairSync('ed25519').privateKey;
      const certify = (validTo: number) =>
        formatCertificate(
          signCertificate(
            {
              type: 'host',
              key: encodePublicKey(createPrivateKey(directory.hostKeys[0] ?? '')).blob,
              serial: 1n,
              keyId: 'pool',
              principals: ['pool.test'],
              validFrom: 0,
              validTo,
            },
            authority,
          ),
        );
      const line = `@cert-authority pool.test ssh-ed25519 ${encodePublicKey(authority).blob.toString('base64')}\n`;
      await writeFile(join(folder, 'authorities'), line);
      const argv = () => [
        ...['-F', 'none', '-i', join(folder, 'key'), '-o', 'BatchMode=yes', '-p', String(port)],
        ...['-o', `UserKnownHostsFile=${join(folder, 'authorities')}`, '-o', 'StrictHostKeyChecking=yes'],
        ...['-o', 'HostKeyAlias=pool.test', 'alice@127.0.0.1', 'echo in'],
      ];
      directory = { ...directory, hostCertificates: [certify(Date.now() + 600_000)] };
      await serve();
      expect(await start('ssh', argv()).done).toMatchObject({ code: 0, stdout: 'in\n' });
      directory = { ...directory, hostCertificates: [certify(Date.now() - 1_000)] };
      await serve();
      expect(await start('ssh', argv()).done).toMatchObject({ code: 255 });
      expect(logged).toContainEqual({
        fields: { reason: expect.stringContaining('expired') as string },
        message: 'a host certificate is not shown to clients',
      });
      expect(await ssh('alice', 'echo in').done).toMatchObject({ code: 0 });
    });

    it('has the programs of those names on the machine by their path', async () => {
      const { code, stderr } = await ssh('alice', '/nonexistent/passwd').done;
      expect({ code, stderr }).toEqual({ code: 127, stderr: expect.stringContaining('not found') as string });
    });

    it('may read as slowly as it likes: all comes, and then the end', async () => {
      const ended = join(folder, 'ended');
      const { child, done } = ssh('alice', `head -c 4000000 /dev/zero; : > ${ended}; exit 5`);
      child.stdout.pause();
      await until('the program has ended', () => existsSync(ended));
      child.stdout.resume();
      const { code, stdout } = await done;
      expect([code, stdout.length]).toEqual([5, 4_000_000]);
    });

    it('has a machine when it opens no session at all', async () => {
      const { done, child } = start('ssh', [...withKey(), '-N', 'alice@127.0.0.1']);
      await until('the machine is there', () => sessions.size === 1);
      child.kill();
      await done;
    });

    it('is active when it moves bytes, and not for keep-alives', async () => {
      const alive = ['-o', 'ServerAliveInterval=1'];
      const { child, told, done } = start('ssh', [...withKey(), ...alive, '-tt', 'alice@127.0.0.1']);
      child.stdin.write('echo ready-$((1+1))\n');
      await until('the shell runs', () => told.stdout.includes('ready-2'));
      const activeAt = () => sessions.report()[0]?.activeAt ?? 0;
      // A prompt may come behind it; then nothing does.
      await until('it is quiet', () => Date.now() - activeAt() > 2_500);
      const before = activeAt();
      child.stdin.write('echo again-$((1+1))\n');
      await until('it says something', () => told.stdout.includes('again-2'));
      expect(activeAt()).toBeGreaterThan(before);
      child.kill();
      await done;
      await until('nothing is left', () => sessions.size === 0);
    });

    it('ends with the instance, in words', async () => {
      const { child, told, done } = start('ssh', [...withKey(), '-tt', 'alice@127.0.0.1']);
      child.stdin.write('echo ready-$((1+1))\n');
      await until('the shell runs', () => told.stdout.includes('ready-2'));
      for (const connection of sshd.connections) connection.end();
      const { stdout, stderr } = await done;
      expect(stdout + stderr).toContain('has ended');
      await until('nothing is left', () => sessions.size === 0);
    });
  },
);
