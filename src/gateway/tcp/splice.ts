/**
 * Carries bytes between two sockets until both directions are done. A full receiver stops the reading of its sender, so
 * that memory is bounded by one read a direction; an end of one side is passed on and the other direction goes on; a
 * reset of one side resets the other.
 */
import type { Socket } from 'node:net';

/**
 * Starts carrying; both sockets must be paused, half-open allowed, with an error listener. `onClosed` is called once,
 * when both are closed. After `idleMs` without a byte in either direction both are reset.
 */
export function splice(client: Socket, upstream: Socket, idleMs: number, onClosed: () => void): void {
  let open = 2;
  for (const [from, to] of [
    [client, upstream],
    [upstream, client],
  ] as const) {
    from.on('data', (chunk: Buffer) => {
      if (!to.write(chunk)) from.pause();
    });
    from.on('end', () => to.end());
    to.on('drain', () => from.resume());
    from.on('close', (failed: boolean) => {
      // Without a failure both directions have ended, and what `to` still has to send goes on.
      if (failed && !to.destroyed) to.resetAndDestroy();
      if (--open === 0) onClosed();
    });
  }
  // Every byte passes the client's socket in one direction or the other: its timer is enough.
  client.setTimeout(idleMs, () => {
    client.resetAndDestroy();
    upstream.resetAndDestroy();
  });
  client.resume();
  upstream.resume();
}
