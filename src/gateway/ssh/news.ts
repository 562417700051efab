/** What people of one connection are told at their terminals: while they wait for a machine, and later. */
export interface News {
  /** A line for who waits; those who come later hear it too. */
  wait: (words: string) => void;
  /** Hears what is said to who waits, until the returned function is called. */
  follow(tell: (words: string) => void): () => void;
  /** A line for every terminal. */
  tell(words: string): void;
  /** Hears what is said to terminals, until the returned function is called. */
  listen(tell: (words: string) => void): () => void;
}

export function createNews(): News {
  const waiting = new Set<(words: string) => void>();
  const terminals = new Set<(words: string) => void>();
  let latest: string | undefined;
  return {
    wait(words) {
      latest = words;
      for (const tell of waiting) tell(words);
    },
    follow(tell) {
      waiting.add(tell);
      if (latest !== undefined) tell(latest);
      return () => {
        waiting.delete(tell);
      };
    },
    tell(words) {
      for (const tell of terminals) tell(words);
    },
    listen(tell) {
      terminals.add(tell);
      return () => {
        terminals.delete(tell);
      };
    },
  };
}
