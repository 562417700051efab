/** Two channels become one: bytes in both directions, each half closed when it is over, all of it closed at the end. */
import type { Writable } from 'node:stream';
import type { ClientChannel, ForwardChannel, ServerChannel } from './ssh-types.ts';

/** Joins a forwarded connection's two channels. Calls `moved` with each piece that comes. */
export function joinForwards(a: ForwardChannel, b: ForwardChannel, moved: () => void): void {
  const half = (from: ForwardChannel, to: ForwardChannel): void => {
    from.pipe(to, { end: false });
    from.on('data', moved);
    from.once('end', () => {
      to.eof();
    });
    from.once('error', () => {
      from.close();
    });
    from.once('close', () => {
      // What was read before may still wait for its turn.
      flush(to, () => {
        to.close();
      });
    });
  };
  half(a, b);
  half(b, a);
}

/**
 * Joins a person's session with that on the instance: also stderr, and how the program ended. The instance decides when it
 * is over; a person who hangs up ends it.
 *
 * @param onLost called where it ends without a word, before the person's end closes
 * @param moved called with each piece that comes from either end
 */
export function joinSessions(
  client: ServerChannel,
  instance: ClientChannel,
  onLost: () => void,
  moved: () => void,
): void {
  client.pipe(instance, { end: false });
  client.on('data', moved);
  client.once('end', () => {
    instance.eof();
  });
  client.once('close', () => {
    instance.close();
  });
  client.on('error', () => {
    instance.close();
  });
  instance.on('error', () => {
    client.close();
  });
  instance.pipe(client, { end: false });
  instance.on('data', moved);
  instance.stderr.pipe(client.stderr, { end: false });
  instance.stderr.on('data', moved);
  let isClosed = false;
  let ending: (() => void) | undefined;
  const tellEnding = (): void => {
    try {
      ending?.();
    } catch {
      client.exit(255); // a signal that SSH has no name for
    }
    ending = () => undefined; // once
  };
  const whenAllIsTaken = (then: () => void): void => {
    flush(client.stderr, () => {
      flush(client, then);
    });
  };
  instance.once('end', () => {
    // A connection that is lost ends and closes at once, and something is to be said then: after EOF nothing can be.
    setImmediate(() => {
      if (isClosed) return;
      if (ending === undefined) {
        client.eof();
        return;
      }
      // As sshd does: dropbear's client hears of no status after EOF.
      whenAllIsTaken(() => {
        if (isClosed) return;
        tellEnding();
        client.eof();
      });
    });
  });
  instance.once('exit', (code, signal, coreDumped, message) => {
    ending = () => {
      if (code !== null) client.exit(code);
      else if (signal !== undefined) client.exit(signal, coreDumped, message);
    };
  });
  instance.once('close', () => {
    isClosed = true;
    whenAllIsTaken(() => {
      if (ending === undefined) onLost();
      else tellEnding();
      client.end();
    });
  });
}

/** Calls back when all that was written has been taken, or can be taken no more. */
export function flush(stream: Writable, done: () => void): void {
  if (stream.destroyed || stream.writableEnded || stream.writableLength === 0) {
    done();
    return;
  }
  let isDone = false;
  const once = (): void => {
    if (isDone) return;
    isDone = true;
    done();
  };
  stream.once('close', once);
  stream.write('', once);
}
