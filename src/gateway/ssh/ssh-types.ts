/**
 * What the gateway uses of the SSH library, on both sides, as types. The library is JavaScript (`vendor/ssh2`): here stands
 * what its calls and events really carry, our patches included. See `library.ts` for how to come by a connection.
 *
 * Callbacks, not promises: what a channel tells (`exit`, `close`) may come in the same packet as the answer that
 * opened it, before a promise would go on.
 */
import type { EventEmitter } from 'node:events';
import type { Duplex, Readable, Writable } from 'node:stream';

export interface Algorithms {
  kex?: readonly string[];
  cipher?: readonly string[];
  hmac?: readonly string[];
  compress?: readonly string[];
  serverHostKey?: readonly string[];
}

/** What both sides of a connection may be told. */
export interface TransportOptions {
  algorithms?: Algorithms;
  /** Bytes that a channel may have under way towards us; 2 MiB unless told. */
  windowSize?: number;
  /** Bytes of data in a packet towards us, 255 KiB at most; 32 KiB unless told. */
  packetSize?: number;
  /** New keys after so many bytes in both directions together; 1 GiB unless told. */
  rekeyBytes?: number;
  /** New keys after so many seconds; an hour unless told. */
  rekeySeconds?: number;
  /** Milliseconds. The server asks its client all 15 s unless told; the client asks only when told. */
  keepaliveInterval?: number;
  keepaliveCountMax?: number;
  /** What stands after `SSH-2.0-`. */
  ident?: string;
  debug?: (line: string) => void;
}

export interface HostKey {
  key: string | Buffer;
  passphrase?: string;
  /** Of this key, as a line of a `*-cert.pub` file or as its blob. Clients that do not ask for it get the bare key. */
  certificate?: string | Buffer;
}

export interface SshServerOptions extends TransportOptions {
  hostKeys: readonly HostKey[];
  /** Ciphers that a client of OpenSSH is made to take where it knows one of them, whatever it would rather have. */
  preferredCiphers?: readonly string[];
  /** Shown before somebody signs in. */
  banner?: string;
  /** Names that `server-sig-algs` tells; all that reach the `authentication` event unless told. */
  serverSigAlgs?: readonly string[];
}

export interface ConnectionInfo {
  ip: string;
  port: number;
  family: string;
  header: { identRaw: string; versions: { protocol: string; software: string }; comments: string | undefined };
}

export interface Negotiated {
  kex: string;
  serverHostKey: string;
  cs: { cipher: string; mac: string; compress: string };
  sc: { cipher: string; mac: string; compress: string };
}

interface AuthContext {
  username: string;
  service: string;
  /** For a public key without `signature` this says only that such a key may be tried. */
  accept(): void;
  reject(methodsLeft?: readonly string[], isPartial?: boolean): void;
}

/** Nothing to look at: `none`, or a method that the library does not know. To be rejected with the methods there are. */
export interface OtherAuth extends AuthContext {
  method: 'none' | 'hostbased' | 'gssapi-with-mic';
}
export interface PasswordAuth extends AuthContext {
  method: 'password';
  password: string;
}
export interface PublicKeyAuth extends AuthContext {
  method: 'publickey';
  /** As the client named it: `ssh-ed25519`, `rsa-sha2-512-cert-v01@openssh.com`, `sk-ssh-ed25519@openssh.com`… */
  algorithm: string;
  /** `data` is the blob of the key or certificate; `algo` is `ssh-rsa` for plain RSA keys of any hash. */
  key: { algo: string; data: Buffer };
  hashAlgo: 'sha256' | 'sha512' | undefined;
  /** What was signed. Absent while the client only asks. */
  blob?: Buffer;
  /** As `node:crypto` takes it: without the algorithm's name, ECDSA in DER. Not for `sk-*` keys. */
  signature?: Buffer;
  /** As it came: a string with the algorithm's name, one with the signature, and for `sk-*` flags and counter. */
  signatureRaw?: Buffer;
}
export interface Prompt {
  prompt: string;
  echo: boolean;
}
export interface KeyboardAuth extends AuthContext {
  method: 'keyboard-interactive';
  submethods: readonly string[];
  /** An Error instead of answers: the client began another method meanwhile. */
  prompt(prompts: readonly Prompt[], title: string, instructions: string, answer: (a: string[] | Error) => void): void;
}
export type Authentication = OtherAuth | PasswordAuth | PublicKeyAuth | KeyboardAuth;

export interface WindowSize {
  cols: number;
  rows: number;
  width: number;
  height: number;
}
export interface PtyInfo extends WindowSize {
  term: string;
  /** By name, those that the library knows. */
  modes: Readonly<Record<string, number>>;
  /** All of them, as they came: to be passed on. */
  modesRaw: Buffer;
}
export interface X11Info {
  single: boolean;
  protocol: string;
  cookie: Buffer;
  screen: number;
}

/** Absent where the client wants no reply; both may be called later, once. */
type Reply = (() => void) | undefined;
/** Undefined where the channel is gone already. */
type Accept<T> = () => T | undefined;
type Reject = () => void;

interface ServerSessionEvents {
  env: [accept: Reply, reject: Reply, info: { key: string; val: string; keyBytes: Buffer; valBytes: Buffer }];
  pty: [accept: Reply, reject: Reply, info: PtyInfo];
  'window-change': [accept: Reply, reject: Reply, info: WindowSize];
  x11: [accept: Reply, reject: Reply, info: X11Info];
  'auth-agent': [accept: Reply, reject: Reply];
  /** `name` without `SIG`. */
  signal: [accept: Reply, reject: Reply, info: { name: string }];
  break: [accept: Reply, reject: Reply, info: { length: number }];
  shell: [accept: Accept<ServerChannel>, reject: Reply];
  exec: [accept: Accept<ServerChannel>, reject: Reply, info: { command: string; commandBytes: Buffer }];
  /** Also for `sftp`: its bytes, not its meaning. */
  subsystem: [accept: Accept<ServerChannel>, reject: Reply, info: { name: string; nameBytes: Buffer }];
  eof: [];
  close: [];
}
export type ServerSession = EventEmitter<ServerSessionEvents>;

interface HalfClosing {
  /** EOF after what was written; the other side may go on sending. Statuses, signals and `close` still go through. */
  eof(): void;
  /** Ends the channel at once. */
  close(): void;
}
/** `end()` is `eof()` and `close()`; to close only our half, use `eof()`. */
export type ServerChannel = HalfClosing & {
  stderr: Writable;
  exit(status: number): void;
  /** With or without `SIG`; names with `@` go as they are. Throws for others that RFC 4254 does not know. */
  exit(signal: string, coreDumped?: boolean, message?: string): void;
} & Duplex;

type ExitListener = (code: number | null, signal?: string, coreDumped?: boolean, message?: string) => void;
export type ClientChannel = HalfClosing & {
  stderr: Readable;
  /** Also after `eof()`. Names as for `exit` of the other side. */
  signal(name: string): void;
  setWindow(rows: number, cols: number, height: number, width: number): void;
  break(milliseconds: number, done?: (error?: Error) => void): void;
  /** `code` is null where a signal ended it. */
  on(event: 'exit', listener: ExitListener): unknown;
  once(event: 'exit', listener: ExitListener): unknown;
} & Duplex;
/** A forwarded connection, in either direction. */
export type ForwardChannel = HalfClosing & Duplex;

export interface TcpipInfo {
  destIP: string;
  destPort: number;
  srcIP: string;
  srcPort: number;
}
interface ForwardRequests {
  'tcpip-forward': { bindAddr: string; bindPort: number };
  'cancel-tcpip-forward': { bindAddr: string; bindPort: number };
  'streamlocal-forward@openssh.com': { socketPath: string };
  'cancel-streamlocal-forward@openssh.com': { socketPath: string };
}
type RequestArguments = {
  [N in keyof ForwardRequests]: [
    accept: ((chosenPort?: number) => void) | undefined,
    reject: Reply,
    name: N,
    info: ForwardRequests[N],
  ];
}[keyof ForwardRequests];

type Opened<T> = (error: Error | undefined, channel: T) => void;

interface ServerConnectionEvents {
  handshake: [Negotiated];
  authentication: [Authentication];
  /** Signed in. */
  ready: [];
  session: [accept: Accept<ServerSession>, reject: Reject];
  tcpip: [accept: Accept<ForwardChannel>, reject: Reject, info: TcpipInfo];
  'openssh.streamlocal': [accept: Accept<ForwardChannel>, reject: Reject, info: { socketPath: string }];
  request: RequestArguments;
  rekey: [];
  error: [Error];
  end: [];
  close: [];
}
/** A client of ours. Without a listener for `error` its errors end the process, as with any emitter. */
export interface ServerConnection extends EventEmitter<ServerConnectionEvents> {
  authenticated: boolean;
  /** To the client's agent, which it offered with `auth-agent`. */
  openssh_authAgent(opened: Opened<ForwardChannel>): this;
  x11(originAddr: string, originPort: number, opened: Opened<ForwardChannel>): this;
  forwardOut(addr: string, port: number, remoteAddr: string, remotePort: number, opened: Opened<ForwardChannel>): this;
  openssh_forwardOutStreamLocal(socketPath: string, opened: Opened<ForwardChannel>): this;
  rekey(done?: (error?: Error) => void): this;
  setNoDelay(on: boolean): this;
  /** Says goodbye and closes the socket, after 5 s also where the client does not read. */
  end(): this;
}

export type AuthAttempt =
  | { type: 'none' }
  | { type: 'password'; password: string }
  | { type: 'publickey'; key: string | Buffer; passphrase?: string; certificate?: string | Buffer };

export interface SshClientOptions extends TransportOptions {
  username: string;
  /** In this order; those that fail are followed by the next. */
  attempts: readonly AuthAttempt[];
  /** Decides about the server's key (its blob), now or later. */
  verifyHostKey: (key: Buffer, decide: (permitted: boolean) => void) => void;
  /** Milliseconds until `ready`; 20 s unless told, 0 for no limit. */
  readyTimeout?: number;
}

export interface SessionOptions {
  env?: readonly (readonly [name: string | Buffer, value: string | Buffer])[];
  /** `modes` as bytes: `modesRaw` of the other side. */
  pty?: WindowSize & { term: string; modes: Buffer };
  /** `cookie` is text. */
  x11?: { single: boolean; protocol: string; cookie: string; screen: number };
  /** Only with a listener for `auth agent`. */
  agentForward?: boolean;
}

interface ClientConnectionEvents {
  handshake: [Negotiated];
  banner: [string];
  ready: [];
  rekey: [];
  'tcp connection': [info: TcpipInfo, accept: Accept<ForwardChannel>, reject: Reject];
  'unix connection': [info: { socketPath: string }, accept: Accept<ForwardChannel>, reject: Reject];
  x11: [info: { srcIP: string; srcPort: number }, accept: Accept<ForwardChannel>, reject: Reject];
  'auth agent': [accept: Accept<ForwardChannel>, reject: Reject];
  error: [Error];
  end: [];
  close: [];
}
/** We as the client of an instance. */
export interface ClientConnection extends EventEmitter<ClientConnectionEvents> {
  exec(command: string | Buffer, options: SessionOptions, opened: Opened<ClientChannel>): this;
  /** `pty` stands apart here; false for none. */
  shell(
    pty: NonNullable<SessionOptions['pty']> | false,
    options: Omit<SessionOptions, 'pty'>,
    opened: Opened<ClientChannel>,
  ): this;
  subsys(name: string | Buffer, options: SessionOptions, opened: Opened<ClientChannel>): this;
  forwardOut(srcIP: string, srcPort: number, dstIP: string, dstPort: number, opened: Opened<ForwardChannel>): this;
  forwardIn(bindAddr: string, bindPort: number, done: (error: Error | undefined, port: number) => void): this;
  unforwardIn(bindAddr: string, bindPort: number, done: (error?: Error) => void): this;
  openssh_forwardOutStreamLocal(socketPath: string, opened: Opened<ForwardChannel>): this;
  openssh_forwardInStreamLocal(socketPath: string, done: (error?: Error) => void): this;
  openssh_unforwardInStreamLocal(socketPath: string, done: (error?: Error) => void): this;
  openssh_noMoreSessions(done: (error?: Error) => void): this;
  /** False, and nothing is sent, where the server did not announce `ping@openssh.com`. */
  openssh_ping(data: Buffer, answered: (error: Error | undefined, data: Buffer) => void): boolean;
  rekey(done?: () => void): this;
  setNoDelay(on: boolean): this;
  end(): this;
  destroy(): this;
}
