/**
 * One session channel of a person: what it asks for is kept until it says which program it wants, and then asked of the
 * instance in the same order. Somebody at a terminal is told what happens while they wait; a program at the other end
 * (scp, rsync, git) gets nothing but its data, and words only on stderr when it fails.
 */
import { joinSessions } from './join-streams.ts';
import type {
  ClientChannel,
  ClientConnection,
  ServerChannel,
  ServerSession,
  SessionOptions,
  WindowSize,
} from './ssh-types.ts';

export interface SessionTerms {
  /** The instance's end, once there is one; the first who asks has it looked for. Rejects with a message for the person. */
  upstream(): Promise<ClientConnection>;
  /** Takes the channel of a command that is not the instance's affair, and says so. */
  isOwn(command: Buffer, client: ServerChannel, isTerminal: boolean): boolean;
  /** What is told to who waits, now and later; returns what ends that. */
  onNews(tell: (words: string) => void): () => void;
  /** A channel that somebody looks at is there, until the returned function is called. */
  onTerminal(tell: (words: string) => void): () => void;
  /** False where it is not for this person; otherwise the instance may open such channels from now on. */
  allowAgent(): boolean;
  allowX11(): boolean;
  /** Bytes have come from the person or the instance; keep-alives and changes of a window's size are none. */
  moved(): void;
  mayHavePty: boolean;
}

type Program = { kind: 'shell' } | { kind: 'exec'; command: Buffer } | { kind: 'subsystem'; name: Buffer };
type Pty = NonNullable<SessionOptions['pty']>;

/** Environment variables that a session may bring. */
const mostVariables = 64;
const longestVariable = 32 * 1024;

export function carrySession(session: ServerSession, terms: SessionTerms): void {
  const env: [Buffer, Buffer][] = [];
  let pty: Pty | undefined;
  let x11: SessionOptions['x11'];
  let agentForward = false;
  let instance: ClientChannel | undefined;
  /** Signals and breaks that came before the program ran. */
  const early: ((channel: ClientChannel) => void)[] = [];
  const now = (act: (channel: ClientChannel) => void): void => {
    if (instance !== undefined) act(instance);
    else if (early.length < 16) early.push(act);
  };

  session.on('env', (accept, reject, { keyBytes, valBytes }) => {
    if (env.length >= mostVariables || keyBytes.length + valBytes.length > longestVariable) {
      reject?.();
      return;
    }
    env.push([keyBytes, valBytes]);
    accept?.();
  });
  session.on('pty', (accept, reject, { term, modesRaw, cols, rows, width, height }) => {
    if (!terms.mayHavePty) {
      reject?.();
      return;
    }
    pty = { term, modes: modesRaw, cols, rows, width, height };
    accept?.();
  });
  session.on('window-change', (accept, _reject, size: WindowSize) => {
    if (pty !== undefined) pty = { ...pty, ...size };
    instance?.setWindow(size.rows, size.cols, size.height, size.width);
    accept?.();
  });
  session.on('x11', (accept, reject, { single, protocol, cookie, screen }) => {
    if (!terms.allowX11()) {
      reject?.();
      return;
    }
    x11 = { single, protocol, cookie: cookie.toString('latin1'), screen };
    accept?.();
  });
  session.on('auth-agent', (accept, reject) => {
    if (!terms.allowAgent()) {
      reject?.();
      return;
    }
    agentForward = true;
    accept?.();
  });
  session.on('signal', (accept, _reject, { name }) => {
    now((channel) => {
      channel.signal(name);
    });
    accept?.();
  });
  session.on('break', (accept, _reject, { length }) => {
    now((channel) => {
      channel.break(length);
    });
    accept?.();
  });
  session.on('shell', (accept, reject) => {
    start({ kind: 'shell' }, accept, reject);
  });
  session.on('exec', (accept, reject, { commandBytes }) => {
    start({ kind: 'exec', command: commandBytes }, accept, reject);
  });
  session.on('subsystem', (accept, reject, { nameBytes }) => {
    start({ kind: 'subsystem', name: nameBytes }, accept, reject);
  });

  let isStarted = false;
  function start(program: Program, accept: () => ServerChannel | undefined, reject: (() => void) | undefined): void {
    if (isStarted) {
      reject?.();
      return;
    }
    isStarted = true;
    // The person's end opens at once: whatever becomes of the instance can be said there.
    const client = accept();
    if (client === undefined) return;
    const isTerminal = pty !== undefined;
    client.once('error', () => undefined);
    if (program.kind === 'exec' && terms.isOwn(program.command, client, isTerminal)) return;
    const tell = (words: string): void => {
      if (!client.destroyed) client.stderr.write(isTerminal ? `\r\n${words}\r\n` : `${words}\n`);
    };
    const stopNews = isTerminal ? terms.onNews(tell) : () => undefined;
    const leave = isTerminal ? terms.onTerminal(tell) : () => undefined;
    client.once('close', () => {
      stopNews();
      leave();
    });
    const fail = (error: unknown): void => {
      stopNews();
      tell(error instanceof Error ? error.message : 'The machine could not be reached.');
      if (client.destroyed) return;
      client.exit(255);
      client.end();
    };
    terms.upstream().then((connection) => {
      stopNews();
      if (client.destroyed) return;
      open(connection, program, (error, channel) => {
        if (error !== undefined) {
          fail(new Error(`The machine refused it: ${error.message}`));
          return;
        }
        instance = channel;
        if (pty !== undefined) channel.setWindow(pty.rows, pty.cols, pty.height, pty.width);
        const lost = (): void => {
          tell('The connection to the machine has ended.');
          client.exit(255);
        };
        joinSessions(client, channel, lost, () => {
          terms.moved();
        });
        for (const act of early.splice(0)) act(channel);
      });
    }, fail);
  }

  function open(
    connection: ClientConnection,
    program: Program,
    opened: (error: Error | undefined, channel: ClientChannel) => void,
  ): void {
    const options = { env, agentForward, ...(x11 === undefined ? {} : { x11 }) };
    const withPty = { ...options, ...(pty === undefined ? {} : { pty }) };
    if (program.kind === 'shell') connection.shell(pty ?? false, options, opened);
    else if (program.kind === 'exec') connection.exec(program.command, withPty, opened);
    else connection.subsys(program.name, withPty, opened);
  }
}
