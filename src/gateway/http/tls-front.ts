/**
 * The first bytes of a connection: TLS goes on to HTTP, plain HTTP is led to https, and all else is closed. Nothing waits
 * longer than the limit for somebody who does not speak.
 */
import type { Socket } from 'node:net';
import { createSecureContext, TLSSocket, type SecureContext } from 'node:tls';
import type { WebIdentity } from '../../link/people.ts';

export interface TlsFront {
  /** `onSecure` gets the connection when it is encrypted; else it is closed. */
  take(socket: Socket, identity: WebIdentity, onSecure: (socket: TLSSocket) => void): void;
}

/** The first byte of a TLS record that opens a connection. */
const handshake = 0x16;
const mostOfHead = 8_192;

export function createTlsFront(limitMs: number): TlsFront {
  let known: { certificate: string; context: SecureContext } | undefined;
  function contextOf({ certificate, certificateKey }: WebIdentity): SecureContext {
    if (known?.certificate !== certificate)
      known = {
        certificate,
        context: createSecureContext({ cert: certificate, key: certificateKey, minVersion: 'TLSv1.2' }),
      };
    return known.context;
  }

  return {
    take(socket, identity, onSecure) {
      const late = setTimeout(() => socket.destroy(), limitMs);
      // Who hangs up before there is encryption waits for no answer, and is not held until the limit.
      socket.allowHalfOpen = false;
      const settled = (): void => {
        clearTimeout(late);
      };
      socket.once('close', settled);
      socket.once('data', (first: Buffer) => {
        socket.pause();
        socket.unshift(first);
        if (first[0] !== handshake) {
          redirect(socket);
          return;
        }
        const secure = new TLSSocket(socket, {
          isServer: true,
          secureContext: contextOf(identity),
          ALPNProtocols: ['http/1.1'],
        });
        secure.on('error', () => undefined); // 'close' follows
        secure.once('secure', () => {
          settled();
          secure.allowHalfOpen = true;
          socket.off('close', settled);
          onSecure(secure);
        });
        secure.once('close', () => socket.destroy());
      });
      socket.resume();
    },
  };
}

/** 308 for what looks like HTTP. The rest of the request is not read: nothing of it is wanted. */
function redirect(socket: Socket): void {
  let head = '';
  const look = (chunk: Buffer): void => {
    head += chunk.toString('latin1');
    const isWhole = /\r?\n\r?\n/.test(head);
    if (!isWhole && head.length < mostOfHead) return;
    socket.off('data', look);
    const target = /^[A-Z]{1,20} (\/[\x21-\x7e]*) HTTP\/1\.[01]\r?\n/.exec(head)?.[1];
    const host = /\r?\nhost:[ \t]*([A-Za-z0-9._-]+(?::\d{1,5})?|\[[0-9A-Fa-f:.]+\](?::\d{1,5})?)[ \t]*\r?\n/i.exec(
      head,
    )?.[1];
    const answer =
      isWhole && target !== undefined && host !== undefined
        ? `308 Permanent Redirect\r\nLocation: https://${host}${target}`
        : '400 Bad Request';
    socket.end(`HTTP/1.1 ${answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`);
    // What still comes would make the kernel reset the connection before the answer is read.
    socket.on('data', () => undefined);
    setTimeout(() => socket.destroy(), 1_000).unref();
  };
  socket.on('data', look);
  socket.resume();
}
