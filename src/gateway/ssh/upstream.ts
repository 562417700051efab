/**
 * Our end at an instance: signed in as one user with a certificate that is good for minutes, at a host key that was read
 * through the engine. The instance is hostile: what else it says is not believed.
 */
import { createPrivateKey, randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import type { Clock } from '../../core/time.ts';
import { PoolhouseError } from '../../core/errors.ts';
import type { Directory } from '../../link/people.ts';
import type { Backend } from '../../link/routes.ts';
import { formatCertificate, signCertificate, userExtensions, type CertificateGrant } from './certificates.ts';
import { connectSsh, generateKey, parseKey } from './library.ts';
import type { ClientConnection } from './ssh-types.ts';

export interface UpstreamRequest {
  directory: Directory;
  backend: Backend;
  user: string;
  /** What the certificate that somebody signed in with allows; undefined: everything. The instance's sshd keeps to it. */
  grant: CertificateGrant | undefined;
  clock: Clock;
  signal: AbortSignal;
  /** Until the instance's port answers. */
  connectLimitMs?: number;
  /** Until we are signed in there. */
  signInLimitMs?: number;
}

/** A clock inside may be a little off. */
const before = 60_000;
const after = 120_000;

/** Cheap algorithms: both ends are on this host, and what is carried was encrypted for its way by the person's own ones. */
const algorithms = { cipher: ['aes128-gcm@openssh.com', 'chacha20-poly1305@openssh.com', 'aes256-gcm@openssh.com'] };

export interface Upstream {
  connection: ClientConnection;
  socket: Socket;
}

/**
 * Connects and signs in. `Unavailable` where the instance does not answer or does not let us in: another may. Its
 * connection has a listener for errors.
 */
export async function connectUpstream(request: UpstreamRequest): Promise<Upstream> {
  const { directory, backend, user, grant, clock, signal, connectLimitMs = 2_500, signInLimitMs = 10_000 } = request;
  const pinned = (directory.instanceKeys[backend.instance] ?? []).map((line) =>
    Buffer.from(line.split(' ')[1] ?? '', 'base64'),
  );
  const { private: key, public: publicKey } = generateKey();
  const certificate = signCertificate(
    {
      type: 'user',
      key: parseKey(publicKey).getPublicSSH(),
      serial: randomBytes(8).readBigUInt64BE() >> 1n,
      keyId: `poolhouse ${user}`,
      principals: [user],
      validFrom: clock.now() - before,
      validTo: clock.now() + after,
      extensions: userExtensions.filter((one) => grant === undefined || grant.extensions.has(one)),
      ...(grant?.forceCommand === undefined ? {} : { forceCommand: grant.forceCommand }),
    },
    createPrivateKey(directory.userAuthority),
  );
  const failed = (why: string, cause?: unknown): PoolhouseError =>
    new PoolhouseError('Unavailable', `The machine ${backend.instance} ${why}.`, { cause, retryable: true });
  if (pinned.length === 0) throw failed('has not told its host key yet');

  const socket = connect({ host: backend.address, port: backend.port, noDelay: true });
  const { promise, resolve, reject } = Promise.withResolvers<Upstream>();
  const late = setTimeout(() => {
    reject(failed('does not answer'));
  }, connectLimitMs);
  socket.once('connect', () => {
    clearTimeout(late);
  });
  const connection = connectSsh(socket, {
    username: user,
    attempts: [{ type: 'publickey', key, certificate: formatCertificate(certificate) }],
    verifyHostKey: (blob, decide) => {
      const isPinned = pinned.some((one) => one.equals(blob));
      if (!isPinned) reject(failed('shows another host key than the one that was read through the engine'));
      decide(isPinned);
    },
    readyTimeout: signInLimitMs,
    keepaliveInterval: 15_000,
    keepaliveCountMax: 4,
    algorithms,
  });
  const abort = (): void => {
    reject(signal.reason instanceof Error ? signal.reason : failed('is not wanted any more'));
    connection.destroy();
  };
  connection.on('error', (error) => {
    reject(failed('does not let anybody in', error));
  });
  connection.once('close', () => {
    reject(failed('hung up'));
  });
  connection.once('ready', () => {
    resolve({ connection, socket });
  });
  signal.addEventListener('abort', abort, { once: true });
  try {
    return await promise;
  } catch (error) {
    connection.destroy();
    throw error;
  } finally {
    clearTimeout(late);
    signal.removeEventListener('abort', abort);
  }
}
