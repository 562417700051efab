/**
 * Carries out what somebody asks of the front door itself: `passwd`, `keys` and `keep`. It needs no machine, and wakes none.
 * Passwords are asked at a terminal without echo, or come on stdin where that was said; they stand in no command line.
 */
import {
  mostKeyText,
  type KeepAnswer,
  type OwnAccount,
  type SelfAnswer,
  type SelfQuestion,
} from '../../link/people.ts';
import { createHiddenLines } from './hidden-lines.ts';
import { flush } from './join-streams.ts';
import type { OwnCommand } from './own-commands.ts';
import type { ServerChannel } from './ssh-types.ts';

export interface OwnCommandTerms {
  channel: ServerChannel;
  isTerminal: boolean;
  /** Never rejects but when the signal aborts. */
  ask(asks: SelfQuestion['asks']): Promise<SelfAnswer>;
  keep(until: string | undefined): Promise<KeepAnswer>;
  /** Aborts when the person hangs up. */
  signal: AbortSignal;
  /** How long something may be typed. */
  patienceMs?: number;
  /** After which who does not send a key is told how. */
  hintMs?: number;
}

/** As programs of Unix end. */
const ends = { well: 0, failed: 1, wrongUsage: 2, interrupted: 130 } as const;
const mostPasswordText = 16 * 1024;

const help = {
  passwd: `ssh -t POOL passwd              changes your password: asks for the old one and the new one
printf '%s\\n' "$OLD" "$NEW" | ssh POOL passwd --stdin
                                the same for programs; only the new one where you have none yet
'/usr/bin/passwd' is the machine's own program of this name.
`,
  keys: `ssh POOL keys                   lists the public keys that let you in
ssh POOL keys add < KEY.pub     adds one, or several, a line each
ssh POOL keys add 'TYPE BASE64 COMMENT'
ssh POOL keys remove FINGERPRINT
`,
  keep: `ssh POOL keep 2h                keeps the machine that you are on for two hours, also when you have left
ssh POOL keep --until 18:00     until then, by the pool's clock
ssh POOL keep                   says until when it is kept
ssh POOL keep off               does not keep it any more
`,
} as const;

class Stopped extends Error {
  readonly end: number;
  constructor(message: string, end: number) {
    super(message);
    this.end = end;
  }
}

/** Resolves when the channel has been told all, its end included. */
export async function runOwnCommand(command: OwnCommand, terms: OwnCommandTerms): Promise<void> {
  const { channel, isTerminal } = terms;
  const lines = (text: string): string => (isTerminal ? text.replaceAll('\n', '\r\n') : text);
  const say = (text: string): void => void channel.write(lines(text));
  const complain = (text: string): void => void channel.stderr.write(lines(`${text}\n`));
  let end: number = ends.well;
  try {
    end = await carryOut(command, terms, say, complain);
  } catch (error) {
    if (terms.signal.aborted || channel.destroyed) return;
    complain(error instanceof Stopped ? error.message : 'Something went wrong. Try again in a minute.');
    end = error instanceof Stopped ? error.end : ends.failed;
  }
  flush(channel.stderr, () => {
    flush(channel, () => {
      if (channel.destroyed) return;
      channel.exit(end);
      channel.end();
    });
  });
}

async function carryOut(
  command: OwnCommand,
  terms: OwnCommandTerms,
  say: (text: string) => void,
  complain: (text: string) => void,
): Promise<number> {
  switch (command.do) {
    case 'help':
      say(help[command.about]);
      return ends.well;
    case 'complain':
      complain(command.message);
      return ends.wrongUsage;
    case 'keep': {
      const { outcome, message } = await terms.keep(command.until);
      (outcome === 'done' ? say : complain)(outcome === 'done' ? `${message}\n` : message);
      return outcome === 'done' ? ends.well : ends.failed;
    }
    case 'list keys':
      return report(await terms.ask({ for: 'account' }), ({ account }) => {
        say(keysText(account));
      });
    case 'add keys': {
      const given = command.lines ?? (await readStdin(terms, mostKeyText, complain));
      return report(await terms.ask({ for: 'more keys', lines: given }), tell);
    }
    case 'remove key':
      return report(await terms.ask({ for: 'less keys', fingerprint: command.fingerprint }), tell);
    case 'change password':
      return report(await changePassword(), tell);
  }

  function report(answer: SelfAnswer, onDone: (answer: Extract<SelfAnswer, { outcome: 'done' }>) => void): number {
    if (answer.outcome === 'done') {
      onDone(answer);
      return ends.well;
    }
    complain(answer.message);
    return ends.failed;
  }

  function tell({ message }: { message: string }): void {
    say(`${message}\n`);
  }

  async function changePassword(): Promise<SelfAnswer> {
    if (command.do === 'change password' && command.from === 'stdin') {
      const [first = '', second, ...more] = (await readStdin(terms, mostPasswordText))
        .replace(/\r?\n$/, '')
        .split(/\r?\n/);
      if (more.length > 0)
        throw new Stopped('Give two lines: the password until now, and the new one.', ends.wrongUsage);
      return terms.ask({ for: 'password', ...(second === undefined ? { new: first } : { old: first, new: second }) });
    }
    if (!terms.isTerminal)
      throw new Stopped(
        `A password is typed at a terminal, or it would be seen: ssh -t POOL passwd. Programs use 'passwd --stdin'.`,
        ends.wrongUsage,
      );
    const answer = await terms.ask({ for: 'account' });
    if (answer.outcome !== 'done') return answer;
    const typed = createPrompt(terms, say);
    try {
      const old = answer.account.hasPassword ? await typed.ask('Old password: ') : undefined;
      const chosen = await typed.ask('New password: ');
      if ((await typed.ask('New password again: ')) !== chosen)
        throw new Stopped('They are not the same. Nothing was changed.', ends.failed);
      return await terms.ask({ for: 'password', ...(old === undefined ? {} : { old }), new: chosen });
    } finally {
      typed.close();
    }
  }
}

function keysText({ user, keys, hasPassword }: OwnAccount): string {
  const also = hasPassword ? 'A password lets you in too.' : 'You have no password.';
  if (keys.length === 0) return `No public key lets ${user} in. ${also}\n`;
  return keys.map(({ type, fingerprint, comment }) => `${fingerprint} ${type} ${comment}`.trimEnd() + '\n').join('');
}

/** All of what comes until its end. */
function readStdin(
  { channel, signal, isTerminal, patienceMs = 120_000, hintMs = 2_000 }: OwnCommandTerms,
  mostBytes: number,
  hint?: (text: string) => void,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    const late = setTimeout(() => {
      finish(() => reject(new Stopped('Nothing came. Nothing was changed.', ends.failed)));
    }, patienceMs);
    const soon = setTimeout(() => hint?.(`Paste a public key, and end with Ctrl-D.`), hintMs);
    const finish = (settle: () => void): void => {
      clearTimeout(late);
      clearTimeout(soon);
      channel.off('data', onData).off('end', onEnd);
      signal.removeEventListener('abort', onAbort);
      settle();
    };
    const onEnd = (): void => {
      finish(() => {
        resolve(Buffer.concat(chunks).toString('utf8'));
      });
    };
    const onData = (chunk: Buffer): void => {
      clearTimeout(soon);
      // At a terminal the end is a key, and what is typed is shown: a public key is no secret.
      const end = isTerminal ? chunk.findIndex((byte) => byte === 0x04 || byte === 0x03) : -1;
      const taken = end === -1 ? chunk : chunk.subarray(0, end);
      size += taken.length;
      if (size > mostBytes)
        finish(() => reject(new Stopped(`That is more than the ${mostBytes} bytes that may come.`, ends.failed)));
      chunks.push(isTerminal ? Buffer.from(taken.toString('latin1').replaceAll('\r', '\n'), 'latin1') : taken);
      if (isTerminal) channel.write(taken.toString('latin1').replaceAll('\r', '\r\n'), 'latin1');
      if (chunk[end] === 0x03) finish(() => reject(new Stopped('Nothing was changed.', ends.interrupted)));
      else if (end !== -1) onEnd();
    };
    const onAbort = (): void => {
      finish(() => reject(new Stopped('You hung up.', ends.interrupted)));
    };
    channel.on('data', onData).once('end', onEnd);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** Asks for one line after the other. What is typed before it was asked for counts too. */
function createPrompt({ channel, signal, patienceMs = 120_000 }: OwnCommandTerms, say: (text: string) => void) {
  const hidden = createHiddenLines();
  const typed: ({ line: string } | 'interrupted')[] = [];
  let wanted: (() => void) | undefined;
  const onData = (chunk: Buffer): void => {
    typed.push(...hidden.take(chunk));
    if (typed.length > 16) channel.pause();
    wanted?.();
  };
  const onEnd = (): void => {
    typed.push('interrupted');
    wanted?.();
  };
  channel.on('data', onData).once('end', onEnd);
  signal.addEventListener('abort', onEnd, { once: true });

  return {
    async ask(prompt: string): Promise<string> {
      say(prompt);
      const { promise, resolve } = Promise.withResolvers<'late' | undefined>();
      const late = setTimeout(() => {
        resolve('late');
      }, patienceMs);
      wanted = () => {
        resolve(undefined);
      };
      if (typed.length > 0) wanted();
      const why = await promise;
      clearTimeout(late);
      wanted = undefined;
      say('\n');
      const next = typed.shift();
      if (next === undefined || next === 'interrupted')
        throw new Stopped(
          why === 'late' ? 'Nobody types. Nothing was changed.' : 'Nothing was changed.',
          ends.interrupted,
        );
      return next.line;
    },
    close() {
      channel.off('data', onData).off('end', onEnd);
      signal.removeEventListener('abort', onEnd);
    },
  };
}
