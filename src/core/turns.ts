/**
 * Changes to one instance happen one after the other. The daemon refuses some that meet each other, and of others it
 * forgets one: both write the whole document.
 */
export interface Turns {
  /** Runs the work when all earlier work of that name has ended, however it ended. An abort ends the wait at once. */
  take<T>(name: string, signal: AbortSignal, work: () => Promise<T>): Promise<T>;
}

export function createTurns(): Turns {
  const last = new Map<string, Promise<unknown>>();
  return {
    take(name, signal, work) {
      const before = last.get(name) ?? Promise.resolve();
      const turn = before.then(() => {
        signal.throwIfAborted();
        return work();
      });
      const settled = turn
        .catch(() => undefined) // told to the caller below; the next in line begins anyway
        .then(() => {
          if (last.get(name) === settled) last.delete(name);
        });
      last.set(name, settled);
      return new Promise((resolve, reject) => {
        const give = () => {
          reject(signal.reason as Error); // what an abort carries
        };
        signal.addEventListener('abort', give, { once: true });
        void turn.then(resolve, reject).finally(() => {
          signal.removeEventListener('abort', give);
        });
      });
    },
  };
}
