/** For tests: an instance's sshd, as much of it as a gateway's tests need. It takes certificates of one authority only. */
import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import { checkCertificate, parseCertificate, verifyAuthority, type CertificateGrant } from './certificates.ts';
import { parseKey } from './library.ts';
import { verifySignature } from './ssh-keys.ts';
import type { ServerChannel, ServerConnection } from './ssh-types.ts';
import { hostKey, listen } from './test-support.ts';

export interface FakeSshd {
  port: number;
  /** As control reads it through the engine. */
  hostKeyLine: string;
  connections: Set<ServerConnection>;
  /** Terminals that were asked for: `xterm 80x24`. */
  terminals: string[];
  /** What the certificates allowed that were shown here. */
  grants: CertificateGrant[];
}

/** @param authority blob of the public key that may sign */
export async function startFakeSshd(authority: Buffer): Promise<FakeSshd> {
  const connections = new Set<ServerConnection>();
  const terminals: string[] = [];
  const grants: CertificateGrant[] = [];
  const { port } = await listen((connection) => {
    connections.add(connection);
    connection.once('close', () => connections.delete(connection));
    connection.on('authentication', (context) => {
      try {
        if (context.method !== 'publickey') throw new Error('only certificates');
        const certificate = parseCertificate(context.key.data);
        verifyAuthority(certificate, [authority]);
        const grant = checkCertificate(certificate, { type: 'user', principal: context.username, now: Date.now() });
        const { blob, signatureRaw } = context;
        if (blob !== undefined && signatureRaw !== undefined && !verifySignature(certificate.key, signatureRaw, blob))
          throw new Error('not theirs');
        if (blob !== undefined) grants.push(grant);
        context.accept();
      } catch {
        context.reject(['publickey']);
      }
    });
    connection.on('session', (accept) => {
      const session = accept();
      session?.on('pty', (acceptPty, _reject, { term, cols, rows }) => {
        terminals.push(`${term} ${cols}x${rows}`);
        acceptPty?.();
      });
      session?.on('env', (acceptEnv) => acceptEnv?.());
      session?.on('shell', (acceptShell) => {
        run(acceptShell(), 'sh', []);
      });
      session?.on('exec', (acceptExec, _reject, { command }) => {
        run(acceptExec(), 'sh', ['-c', command]);
      });
      session?.on('subsystem', (acceptSubsystem, reject, { name }) => {
        if (name === 'sftp') run(acceptSubsystem(), '/usr/lib/openssh/sftp-server', []);
        else reject?.();
      });
    });
    connection.on('tcpip', (accept, reject, { destIP, destPort }) => {
      const socket = connect(destPort, destIP);
      socket.once('error', reject);
      socket.once('connect', () => {
        const channel = accept();
        if (channel === undefined) socket.destroy();
        else socket.pipe(channel).pipe(socket);
      });
    });
  });
  const blob = parseKey(hostKey.public).getPublicSSH();
  return { port, hostKeyLine: `ssh-ed25519 ${blob.toString('base64')}`, connections, terminals, grants };
}

function run(channel: ServerChannel | undefined, program: string, argv: string[]): void {
  if (channel === undefined) return;
  const child = spawn(program, argv);
  channel.pipe(child.stdin);
  child.stdin.on('error', () => undefined);
  child.stdout.pipe(channel, { end: false });
  child.stderr.pipe(channel.stderr, { end: false });
  channel.once('close', () => child.kill());
  child.once('close', (code, signal) => {
    if (signal === null) channel.exit(code ?? 0);
    else channel.exit(signal);
    channel.end();
  });
}
