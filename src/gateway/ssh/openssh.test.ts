/** Both halves of the library with the real OpenSSH: its client always, its server where one is installed. */
import { spawn, spawnSync } from 'node:child_process';
import { createHash, createPrivateKey, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it, onTestFinished } from 'vitest';
import {
  formatCertificate,
  isCertificateAlgorithm,
  parseCertificate,
  signCertificate,
  verifyAuthority,
  type CertificateRequest,
} from './certificates.ts';
import { flush } from './join-streams.ts';
import { connectSsh, generateKey, parseKey } from './library.ts';
import { verifySignature } from './ssh-keys.ts';
import type { ClientConnection, Negotiated, ServerConnection, SshServerOptions } from './ssh-types.ts';
import { hostKey, listen } from './test-support.ts';

/** An unpacked OpenSSH to try instead of the machine's own (vendor/ssh2/README.md). */
const unpacked = process.env['POOLHOUSE_TEST_OPENSSH'];
const root = unpacked ?? '/';
const ssh = join(root, 'usr/bin/ssh');
const sshd = join(root, 'usr/sbin/sshd');
const libraries = ['usr/lib/x86_64-linux-gnu', 'lib/x86_64-linux-gnu'].map((name) => join(root, name)).join(':');
const env = unpacked === undefined ? process.env : { ...process.env, LD_LIBRARY_PATH: libraries };
const missing = (file: string) => (existsSync(file) ? '' : ` (skipped: ${file} is not there)`);
const knows = (kex: string) =>
  existsSync(ssh) && spawnSync(ssh, ['-Q', 'kex'], { env, encoding: 'utf8' }).stdout.split('\n').includes(kex);

const folder = mkdtempSync(join(tmpdir(), 'poolhouse-openssh-'));
afterAll(() => rmSync(folder, { recursive: true }));
const file = (name: string, text: string) => {
  writeFileSync(join(folder, name), text, { mode: 0o600 });
  return join(folder, name);
};

const authority = generateKey();
const signer = createPrivateKey(parseKey(authority.private).getPrivatePEM() ?? '');
const alice = generateKey();
const blobOf = (pair: { private: string }) => parseKey(pair.private).getPublicSSH();
const certify = (pair: { private: string }, changes: Partial<CertificateRequest>) =>
  signCertificate(
    {
      type: 'user',
      key: blobOf(pair),
      serial: 1n,
      keyId: 'test',
      principals: ['alice'],
      validFrom: 0,
      validTo: Date.now() + 600_000,
      ...changes,
    },
    signer,
  );
const hostCertificate = certify(hostKey, { type: 'host', principals: ['pool.test'] });

interface Ran {
  stdout: Buffer;
  stderr: string;
  code: number | null;
}

/** Runs `ssh alice@pool.test COMMAND` against a port of loopback. */
async function run(
  port: number,
  options: string[],
  { command = 'x', input }: { command?: string; input?: Buffer } = {},
): Promise<Ran> {
  const argv = [
    '-F',
    'none',
    '-p',
    String(port),
    '-o',
    'HostName=127.0.0.1',
    '-o',
    'BatchMode=yes',
    '-o',
    'IdentityAgent=none',
  ];
  const child = spawn(ssh, [...argv, ...options, 'alice@pool.test', command], {
    env,
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
  });
  const stdout: Buffer[] = [];
  let stderr = '';
  child.stdout?.on('data', (data: Buffer) => stdout.push(data));
  child.stderr?.on('data', (data: Buffer) => (stderr += data.toString()));
  child.stdin?.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { stdout: Buffer.concat(stdout), stderr, code };
}

/** Answers each command with its own input on stdout, a word on stderr and the status 3, some time after it was asked. */
function echoes(connection: ServerConnection): void {
  connection.on('session', (accept) => {
    accept()?.on('exec', (acceptExec) => {
      setTimeout(() => {
        const channel = acceptExec();
        if (channel === undefined) return;
        channel.stderr.write('a word');
        channel.on('data', (data: Buffer) => {
          if (!channel.write(data)) channel.pause().once('drain', () => channel.resume());
        });
        channel.on('end', () => {
          channel.eof();
          channel.exit(3);
          // Closing does not wait for what was written: new keys may be under way.
          flush(channel, () => {
            channel.close();
          });
        });
      }, 30);
    });
  });
}

const anybody = (connection: ServerConnection) => connection.on('authentication', (one) => one.accept());
async function serve(
  onConnection: (connection: ServerConnection) => void = anybody,
  options: Partial<SshServerOptions> = {},
) {
  const negotiated: Negotiated[] = [];
  let rekeys = 0;
  const { port } = await listen((connection) => {
    onConnection(connection);
    echoes(connection);
    connection.on('handshake', (one) => negotiated.push(one)).on('rekey', () => (rekeys += 1));
  }, options);
  return { port, negotiated, rekeys: () => rekeys };
}
const noHostCheck = ['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null', '-q'];

describe.skipIf(!existsSync(ssh))(`the client of OpenSSH${missing(ssh)}`, () => {
  it.each([0, 3_000_000])('gets output, errors and status for %d bytes of input, accepted later', async (size) => {
    const { port } = await serve();
    const input = randomBytes(size);
    const { stdout, stderr, code } = await run(port, noHostCheck, size === 0 ? {} : { input });
    expect(stderr).toBe('a word');
    expect(code).toBe(3);
    expect(stdout.equals(input)).toBe(true);
  });

  it('gets new keys under load from both sides', async () => {
    const { port, rekeys } = await serve(anybody, { rekeyBytes: 3_000_000 });
    const input = randomBytes(20_000_000);
    const { stdout } = await run(port, [...noHostCheck, '-o', 'RekeyLimit=2M'], { input });
    expect(sha(stdout)).toBe(sha(input));
    expect(rekeys()).toBeGreaterThan(5);
  });

  describe('where some ciphers are preferred', () => {
    const preferredCiphers = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'];
    it.each([
      ['takes them', [], 'aes128-gcm@openssh.com'],
      [
        'takes what it knows of them',
        ['-c', 'chacha20-poly1305@openssh.com,aes256-gcm@openssh.com'],
        'aes256-gcm@openssh.com',
      ],
      ['has others where it insists', ['-c', 'chacha20-poly1305@openssh.com'], 'chacha20-poly1305@openssh.com'],
    ])('%s, and again for new keys', async (_, options, cipher) => {
      const { port, negotiated, rekeys } = await serve(anybody, { preferredCiphers, rekeyBytes: 3_000_000 });
      const input = randomBytes(8_000_000);
      const { stdout, code } = await run(port, [...noHostCheck, ...options], { input });
      expect([code, sha(stdout)]).toEqual([3, sha(input)]);
      expect(rekeys()).toBeGreaterThan(1);
      expect(new Set(negotiated.map((one) => `${one.cs.cipher} ${one.sc.cipher}`))).toEqual(
        new Set([`${cipher} ${cipher}`]),
      );
    });
  });

  it('trusts the host by its certificate, and by the bare key when it asks for that', async () => {
    const { port, negotiated } = await serve(anybody, {
      hostKeys: [{ key: hostKey.private, certificate: hostCertificate }],
    });
    const byAuthority = file('by-authority', `@cert-authority * ${authority.public}\n`);
    const byKey = file('by-key', `[127.0.0.1]:${port} ${hostKey.public}\n`);
    const strict = (known: string) => ['-o', 'StrictHostKeyChecking=yes', '-o', `UserKnownHostsFile=${known}`, '-q'];
    const certified = [
      ...strict(byAuthority),
      '-o',
      'HostKeyAlias=pool.test',
      '-o',
      'HostKeyAlgorithms=ssh-ed25519-cert-v01@openssh.com',
    ];
    expect((await run(port, certified)).code).toBe(3);
    expect((await run(port, [...strict(byAuthority), '-o', 'HostKeyAlias=other.test'])).code).toBe(255);
    expect((await run(port, [...strict(byKey), '-o', 'HostKeyAlgorithms=ssh-ed25519'])).code).toBe(3);
    expect(negotiated.map((one) => one.serverHostKey)).toEqual(
      expect.arrayContaining(['ssh-ed25519-cert-v01@openssh.com', 'ssh-ed25519']),
    );
  });

  it('signs in with a user certificate, which is verified outside the library', async () => {
    const identity = file('alice', alice.private);
    file('alice-cert.pub', `${formatCertificate(certify(alice, {}))}\n`);
    const seen: string[] = [];
    const { port } = await serve((connection) => {
      connection.on('authentication', (one) => {
        if (one.method !== 'publickey' || !isCertificateAlgorithm(one.algorithm)) {
          one.reject(['publickey']);
          return;
        }
        const certificate = parseCertificate(one.key.data);
        verifyAuthority(certificate, [blobOf(authority)]);
        seen.push(one.algorithm);
        if (one.signatureRaw === undefined || one.blob === undefined) {
          one.accept();
          return;
        }
        if (verifySignature(certificate.key, one.signatureRaw, one.blob)) one.accept();
        else one.reject(['publickey']);
      });
    });
    const { code } = await run(port, [...noHostCheck, '-i', identity, '-o', 'IdentitiesOnly=yes']);
    expect(code).toBe(3);
    expect(new Set(seen)).toEqual(new Set(['ssh-ed25519-cert-v01@openssh.com']));
  });

  const hybrid = knows('mlkem768x25519-sha256');
  it.skipIf(!hybrid)(
    `exchanges keys by mlkem768x25519-sha256${hybrid ? '' : ' (skipped: this OpenSSH does not know it)'}`,
    async () => {
      const { port, negotiated } = await serve();
      expect((await run(port, [...noHostCheck, '-o', 'KexAlgorithms=mlkem768x25519-sha256'])).code).toBe(3);
      expect(negotiated[0]?.kex).toBe('mlkem768x25519-sha256');
    },
  );
});

describe.skipIf(!existsSync(sshd))(`the server of OpenSSH${missing(sshd)}`, () => {
  /** A server without rights, that gives its own account SFTP to whoever has a certificate. */
  async function start(): Promise<{ port: number; user: string }> {
    const isRoot = process.getuid?.() === 0;
    const own = mkdtempSync(join(tmpdir(), 'poolhouse-sshd-'));
    const user = isRoot ? 'nobody' : userInfo().username;
    const write = (name: string, text: string) => {
      writeFileSync(join(own, name), text);
      chmodSync(join(own, name), 0o600);
      if (isRoot) chownSync(join(own, name), 65_534, 65_534);
      return join(own, name);
    };
    if (isRoot) chownSync(own, 65_534, 65_534);
    const port = await freePort();
    const helpers =
      unpacked === undefined
        ? []
        : ['Session', 'Auth']
            .map((name) => `Sshd${name}Path ${join(root, `usr/lib/openssh/sshd-${name.toLowerCase()}`)}`)
            .filter((line) => existsSync(line.split(' ')[1] ?? ''));
    const config = [
      `Port ${port}`,
      'ListenAddress 127.0.0.1',
      `HostKey ${write('host', hostKey.private)}`,
      `TrustedUserCAKeys ${write('ca.pub', authority.public)}`,
      `AuthorizedPrincipalsFile ${write('principals', 'alice\n')}`,
      'StrictModes no',
      'UsePAM yes', // or an account without a password is locked for a server without rights
      'PidFile none',
      'Subsystem sftp internal-sftp',
      ...helpers,
    ];
    const child = spawn(sshd, ['-D', '-e', '-f', write('config', `${config.join('\n')}\n`)], {
      env,
      stdio: ['ignore', 'ignore', 'pipe'],
      ...(isRoot ? { uid: 65_534, gid: 65_534 } : {}),
    });
    let log = '';
    child.stderr.on('data', (data: Buffer) => (log += data.toString()));
    onTestFinished(async ({ task }) => {
      if (task.result?.state === 'fail') process.stderr.write(log);
      child.kill();
      await once(child, 'close');
      rmSync(own, { recursive: true });
    });
    while (!log.includes('Server listening'))
      await Promise.race([once(child.stderr, 'data'), once(child, 'exit').then(() => Promise.reject(new Error(log)))]);
    return { port, user };
  }

  it('lets us in with a user certificate, carries a subsystem, and takes new keys', async () => {
    const { port, user } = await start();
    const client = connectSsh(connect(port, '127.0.0.1'), {
      username: user,
      attempts: [
        { type: 'publickey', key: alice.private, certificate: certify(alice, { extensions: ['permit-pty'] }) },
      ],
      verifyHostKey: (key, decide) => decide(key.equals(blobOf(hostKey))),
    });
    onTestFinished(() => {
      client.destroy();
    });
    const negotiated = once(client, 'handshake');
    await ready(client);
    const [{ kex }] = (await negotiated) as [Negotiated];
    if (knows('mlkem768x25519-sha256')) expect(kex).toBe('mlkem768x25519-sha256');
    const version = await new Promise<Buffer>((resolve, reject) => {
      client.subsys('sftp', {}, (error, channel) => {
        if (error !== undefined) {
          reject(error);
          return;
        }
        channel.once('data', resolve);
        channel.write(Buffer.from('000000050100000003', 'hex')); // SSH_FXP_INIT, version 3
      });
    });
    expect(version.subarray(4, 9)).toEqual(Buffer.from('0200000003', 'hex'));
    await new Promise<void>((resolve) => client.rekey(resolve));
  });

  it('does not let us in with the same key and no certificate', async () => {
    const { port, user } = await start();
    const client = connectSsh(connect(port, '127.0.0.1'), {
      username: user,
      attempts: [{ type: 'publickey', key: alice.private }],
      verifyHostKey: (_key, decide) => decide(true),
    });
    await expect(ready(client)).rejects.toThrow(/authentication methods failed/);
  });
});

function ready(client: ClientConnection): Promise<void> {
  return new Promise((resolve, reject) => {
    client.once('ready', resolve).on('error', reject);
  });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function sha(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}
