/**
 * The commands that the front door itself answers, told from those for the machine. Pure. They are words that somebody types
 * as the whole command: `passwd`, and `keys` and `keep` with what follows. The machine's own programs of these names are
 * reached by their path (`/usr/bin/passwd`), and inside a shell, which the front door does not look into.
 */

export type OwnCommand =
  | { do: 'change password'; from: 'terminal' | 'stdin' }
  | { do: 'list keys' }
  /** Without `lines` they come on stdin. */
  | { do: 'add keys'; lines?: string }
  | { do: 'remove key'; fingerprint: string }
  /** Without `until` they ask what is kept. */
  | { do: 'keep'; until?: string }
  | { do: 'help'; about: 'passwd' | 'keys' | 'keep' }
  | { do: 'complain'; message: string };

const longest = 64 * 1024;

/** Undefined where the command is for the machine. */
export function readOwnCommand(command: Buffer): OwnCommand | undefined {
  if (command.length > longest) return undefined;
  const text = command.toString('utf8').trim();
  const [word, rest] = splitFirst(text);
  if (word === 'passwd') return passwordCommands[rest];
  if (word === 'keep') return readKeepCommand(rest);
  // As it is typed on a machine.
  if (word === 'poolhouse' && /^keep(\s|$)/.test(rest)) return readKeepCommand(rest.slice('keep'.length).trim());
  if (word === 'keys') return readKeysCommand(rest);
  return undefined;
}

/** Others, such as `passwd -S`, are the machine's. */
const passwordCommands: Readonly<Record<string, OwnCommand>> = {
  __proto__: null as never,
  '': { do: 'change password', from: 'terminal' },
  '--stdin': { do: 'change password', from: 'stdin' },
  '--help': { do: 'help', about: 'passwd' },
};

function readKeepCommand(text: string): OwnCommand {
  if (text === '') return { do: 'keep' };
  if (text === '--help' || text === 'help') return { do: 'help', about: 'keep' };
  const until = /^(?:--until[ =]\s*)?([^\s-]\S{0,39})$/.exec(text)?.[1];
  if (until !== undefined) return { do: 'keep', until };
  return {
    do: 'complain',
    message: `'keep' takes one time, such as '2h' or '--until 18:00', or 'off'; 'keep --help' says more.`,
  };
}

function readKeysCommand(text: string): OwnCommand {
  const [word, rest] = splitFirst(text);
  switch (word) {
    case '':
      return { do: 'list keys' };
    case 'list':
      if (rest === '') return { do: 'list keys' };
      break;
    case 'add':
      return rest === '' || rest === '-' ? { do: 'add keys' } : { do: 'add keys', lines: unquoted(rest) };
    case 'remove':
      if (/^\S+$/.test(rest)) return { do: 'remove key', fingerprint: rest };
      return { do: 'complain', message: `'keys remove' takes one fingerprint, such as 'keys list' shows.` };
    case '--help':
    case 'help':
      return { do: 'help', about: 'keys' };
  }
  return {
    do: 'complain',
    message: `'keys' has list, add and remove; 'keys --help' says more. A program of that name on the machine is reached by its path.`,
  };
}

/** A shell at the other end would have taken the quotes away. */
function unquoted(text: string): string {
  return /^(['"])(.*)\1$/s.exec(text)?.[2] ?? text;
}

function splitFirst(text: string): [word: string, rest: string] {
  const found = /^(\S*)\s*(.*)$/s.exec(text);
  return [found?.[1] ?? '', found?.[2] ?? ''];
}
