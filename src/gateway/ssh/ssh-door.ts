/** For tests: a door to a pool by ssh, with alice who may come in, an instance that is a small server, and the clients of OpenSSH. */
import { spawn } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
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
import { nobodyObserves, tcpRoute } from '../test-support.ts';
import { startFakeSshd, type FakeSshd } from './fake-instance.ts';
import { generateKey, parseKey } from './library.ts';
import { listenFor } from './serve-people.ts';
import { encodePublicKey } from './ssh-keys.ts';
import { createSshProtocol } from './ssh-protocol.ts';

export const pool = '/pools/team';
export const password = 'Correct-Horse-7';

const clients = ['/usr/bin/ssh', '/usr/bin/scp', '/usr/bin/sshpass', '/usr/lib/openssh/sftp-server'];
/** Why the clients cannot be run here; undefined where they can. */
export const clientsMissing = clients.every(existsSync) ? undefined : 'needs the clients of OpenSSH and sshpass';

interface Running {
  child: ReturnType<typeof spawnPiped>;
  /** What it has said so far. */
  told: { stdout: string; stderr: string };
  done: Promise<{ code: number | null; stdout: string; stderr: string }>;
}

/** What is set here by a test holds from then on; of `directory`, once `serve` was called again. */
export interface SshDoor {
  /** With alice's private key in `key`, and what clients know of hosts in `known`. */
  folder: string;
  sshd: FakeSshd;
  directory: Directory;
  place: Placer['place'];
  answerSelf: (question: SelfQuestion) => SelfAnswer;
  /** Questions to control about an own account. */
  asked: SelfQuestion[];
  logged: { fields: Record<string, unknown>; message: string }[];
  sessions: SessionLedger;
  port: number;
  /** A door with the directory as it is now, on another port. */
  serve(): Promise<void>;
  /** Of every client: nothing of this machine's own configuration. */
  options(...more: string[]): string[];
  withKey(): string[];
  ssh(user: string, ...command: string[]): Running;
  bySecret(user: string, secret: string, ...command: string[]): Running;
}

/** Until the test ends. */
export async function openSshDoor(): Promise<SshDoor> {
  const folder = await mkdtemp(join(tmpdir(), 'poolhouse-ssh-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const authority = generateKeyPairSync('ed25519').privateKey;
  const sshd = await startFakeSshd(encodePublicKey(authority).blob);
  const own = generateKey('alice@laptop');
  await writeFile(join(folder, 'key'), own.private, { mode: 0o600 });
  const keyLine = `ssh-ed25519 ${parseKey(own.public).getPublicSSH().toString('base64')}`;
  const door: SshDoor = {
    folder,
    sshd,
    directory: {
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
    },
    place: () => Promise.resolve({ outcome: 'placed', instance: 'i-0' }),
    answerSelf: () => ({ outcome: 'refused', message: 'This was not to be asked.' }),
    asked: [],
    logged: [],
    sessions: newSessions(),
    port: 0,
    async serve() {
      door.sessions = newSessions();
      door.port = await serve(door);
    },
    options: (...more) => [
      ...['-F', 'none', '-o', `UserKnownHostsFile=${join(folder, 'known')}`, '-o', 'StrictHostKeyChecking=accept-new'],
      ...['-o', 'LogLevel=ERROR', '-o', 'IdentityAgent=none', ...more],
    ],
    withKey: () => door.options('-i', join(folder, 'key'), '-o', 'BatchMode=yes', '-p', String(door.port)),
    ssh: (user, ...command) => start('ssh', [...door.withKey(), `${user}@127.0.0.1`, ...command]),
    bySecret(user, secret, ...command) {
      const onlyPassword = ['-o', 'PubkeyAuthentication=no', '-o', 'NumberOfPasswordPrompts=1'];
      const argv = ['-e', 'ssh', ...door.options('-p', String(door.port), ...onlyPassword)];
      return start('sshpass', [...argv, `${user}@127.0.0.1`, ...command], { SSHPASS: secret });
    },
  };
  await door.serve();
  return door;
}

/** Answers with the port. */
async function serve(door: SshDoor): Promise<number> {
  const view = createDirectoryView();
  view.take(door.directory);
  const say = (fields: object, message: string) =>
    void door.logged.push({ fields: fields as Record<string, unknown>, message });
  const log = { debug: say, info: say, warn: say, error: say };
  const route = {
    ...tcpRoute(1, []),
    protocol: 'ssh' as const,
    pool,
    backends: [{ instance: 'i-0', address: '127.0.0.1', port: door.sshd.port, accepting: true }],
  };
  const limit = createAttemptLimit(systemClock);
  const client = {
    send: (_method: string, _path: string, { body }: { body?: unknown }) => {
      door.asked.push(body as SelfQuestion);
      return Promise.resolve({ status: 200, body: door.answerSelf(body as SelfQuestion) });
    },
    close: () => undefined,
  };
  const protocol = createSshProtocol({
    directory: view,
    signIn: createSignIn({ directory: view, limit, log }),
    ownAccounts: createOwnAccounts({ client, limit }),
    placer: { place: (request, signal) => door.place(request, signal) },
    sessions: door.sessions,
    ledger: createConnectionLedger(() => undefined),
    observer: nobodyObserves,
    log,
    clock: systemClock,
    newTicket: () => 'ticket',
    routeNow: () => route,
  });
  return listenFor(protocol, route);
}

/** A program, killed when the test ends. */
export function start(program: string, argv: string[], env: Record<string, string> = {}): Running {
  const child = spawnPiped(program, argv, env);
  const told = { stdout: '', stderr: '' };
  child.stdout.on('data', (chunk: Buffer) => (told.stdout += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (told.stderr += chunk.toString()));
  const done: Running['done'] = new Promise((resolve) => {
    child.once('close', (code) => {
      resolve({ code, ...told });
    });
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  return { child, told, done };
}

function spawnPiped(program: string, argv: string[], env: Record<string, string>) {
  return spawn(program, argv, { env: { ...process.env, ...env } });
}

function newSessions(): SessionLedger {
  return createSessionLedger(
    () => systemClock.now(),
    () => undefined,
  );
}

function pem(key: { export(options: { type: 'pkcs8'; format: 'pem' }): string | Buffer }): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string;
}
