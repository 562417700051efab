/**
 * Every connection that was accepted and is not closed yet, whatever its protocol does with it at this moment: signs
 * somebody in, waits for a machine, carries bytes. A gateway that leaves ends when there is none.
 */
import type { Socket } from 'node:net';

export interface OpenSockets {
  readonly size: number;
  add(socket: Socket): void;
  /** Resolves when there is none. */
  none(): Promise<void>;
}

export function createOpenSockets(): OpenSockets {
  const sockets = new Set<Socket>();
  let waiting: (() => void)[] = [];
  return {
    get size() {
      return sockets.size;
    },
    add(socket) {
      sockets.add(socket);
      socket.once('close', () => {
        sockets.delete(socket);
        if (sockets.size > 0) return;
        for (const resolve of waiting) resolve();
        waiting = [];
      });
    },
    none: () => (sockets.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve))),
  };
}
