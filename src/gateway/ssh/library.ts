/**
 * The one place that knows where the SSH library comes from: a patched copy of ssh2 in `vendor/ssh2` (its README lists the
 * patches, docs/adr/022 says why). It stands in the root, beside `src` and `dist` alike.
 */
import { generateKeyPairSync } from 'node:crypto';
import { createRequire } from 'node:module';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';
import { PoolhouseError } from '../../core/errors.ts';
import { programFiles } from '../../core/program-files.ts';
import { openSshText } from './host-keys.ts';
import { encodePublicKey } from './ssh-keys.ts';
import type {
  Algorithms,
  ClientConnection,
  ConnectionInfo,
  ServerConnection,
  SshClientOptions,
  SshServerOptions,
} from './ssh-types.ts';

/** A key as the library parsed it. */
export interface ParsedKey {
  /** `ssh-ed25519`, `ecdsa-sha2-nistp256`, `ssh-rsa`… */
  type: string;
  comment: string;
  isPrivateKey(): boolean;
  getPublicSSH(): Buffer;
  getPublicPEM(): string;
  /** Null where it is no private key. */
  getPrivatePEM(): string | null;
}

interface Library {
  Server: new (
    options: object,
    onConnection: (connection: ServerConnection, info: ConnectionInfo) => void,
  ) => { injectSocket(socket: Socket): void };
  Client: new () => ClientConnection & { connect(options: object): void };
  utils: {
    parseKey(data: string | Buffer, passphrase?: string): ParsedKey | ParsedKey[] | Error;
  };
}

// JavaScript without types of its own: `Library` says what we use of it, and the tests beside this file try all of it.
const library = createRequire(import.meta.url)(join(programFiles.root, 'vendor/ssh2/lib/index.js')) as Library;

/**
 * What we offer on both sides, best first: no SHA-1, no CBC, no compression before somebody signed in, and no group
 * exchange, which the library cannot serve.
 */
export const algorithms = {
  kex: [
    'mlkem768x25519-sha256',
    'curve25519-sha256',
    'curve25519-sha256@libssh.org',
    'ecdh-sha2-nistp256',
    'ecdh-sha2-nistp384',
    'ecdh-sha2-nistp521',
    'diffie-hellman-group16-sha512',
    'diffie-hellman-group14-sha256',
  ],
  cipher: [
    'aes128-gcm@openssh.com',
    'chacha20-poly1305@openssh.com',
    'aes256-gcm@openssh.com',
    'aes128-ctr',
    'aes192-ctr',
    'aes256-ctr',
  ],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com', 'hmac-sha2-256', 'hmac-sha2-512'],
  compress: ['none', 'zlib@openssh.com'],
  serverHostKey: [
    'ssh-ed25519',
    'ecdsa-sha2-nistp256',
    'ecdsa-sha2-nistp384',
    'ecdsa-sha2-nistp521',
    'rsa-sha2-512',
    'rsa-sha2-256',
  ],
} as const satisfies Required<Algorithms>;

/**
 * Where the processor has instructions for AES these are about twice as fast as what clients of OpenSSH would choose by
 * themselves, and as safe.
 */
export const ciphersForAes = ['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com'] as const;

/**
 * What people are offered: less than instances, for strangers choose here. No curves of NIST, no MAC of what is not
 * encrypted, no group of 2048 bits; every client of the last ten years has something among these.
 */
export const algorithmsForPeople = {
  ...algorithms,
  kex: ['mlkem768x25519-sha256', 'curve25519-sha256', 'curve25519-sha256@libssh.org', 'diffie-hellman-group16-sha512'],
  hmac: ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com'],
  serverHostKey: ['ssh-ed25519', 'rsa-sha2-512', 'rsa-sha2-256'],
} as const satisfies Required<Algorithms>;

type OnConnection = (connection: ServerConnection, info: ConnectionInfo) => void;

export interface SshServer {
  /**
   * Serves SSH on a connection that somebody else accepted. `onConnection` (the server's, or one of its own) is called once
   * the client said what it is, and adds the listeners, `error` among them, before it returns.
   */
  accept(socket: Socket, onConnection?: OnConnection): void;
}

/**
 * The server's half. It listens nowhere: sockets are handed to it. Throws where a host key, its certificate or an
 * algorithm is not usable.
 */
export function createSshServer(
  options: SshServerOptions,
  onConnection: OnConnection = (connection) => connection.end(),
): SshServer {
  const own = new WeakMap<Socket, OnConnection>();
  const server = new library.Server(
    { ...options, algorithms: { ...algorithms, ...options.algorithms } },
    (connection, info) => {
      const { _sock: socket } = connection as unknown as { _sock: Socket }; // the library tells it nowhere else
      (own.get(socket) ?? onConnection)(connection, info);
    },
  );
  return {
    accept(socket, onThis) {
      if (onThis !== undefined) own.set(socket, onThis);
      server.injectSocket(socket);
    },
  };
}

/**
 * The client's half, over a stream that is connected or about to be. Add listeners at once: `ready` or `error` comes
 * later. Throws where a key cannot be read.
 */
export function connectSsh(stream: Duplex, options: SshClientOptions): ClientConnection {
  const { username, attempts, verifyHostKey, algorithms: chosen, ...rest } = options;
  const client = new library.Client();
  client.connect({
    ...rest,
    sock: stream,
    username,
    algorithms: { ...algorithms, ...chosen },
    authHandler: attempts.map((attempt) => ({ ...attempt, username })),
    hostVerifier: (key: Buffer, decide: (permitted: boolean) => void) => {
      verifyHostKey(key, decide);
    },
    strictVendor: false, // extensions of OpenSSH that others speak too
  });
  return client;
}

/** Reads a key in any of the usual forms (OpenSSH, PEM, PPK, RFC 4716), public or private. */
export function parseKey(data: string | Buffer, passphrase?: string): ParsedKey {
  const parsed = library.utils.parseKey(data, passphrase);
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  if (key === undefined || key instanceof Error)
    throw new PoolhouseError('InvalidParameter', 'This is no SSH key that can be read, or its passphrase is wrong.', {
      cause: key,
    });
  return key;
}

/**
 * A new ed25519 key pair in OpenSSH's forms. Not by the library: of 200 of its keys one lacks a byte (it takes a leading zero
 * away), and cannot be read by anybody.
 */
export function generateKey(comment = ''): { private: string; public: string } {
  const { privateKey } = generateKeyPairSync('ed25519');
  const { type, blob } = encodePublicKey(privateKey);
  return { private: openSshText(privateKey), public: `${type} ${blob.toString('base64')} ${comment}`.trim() };
}
