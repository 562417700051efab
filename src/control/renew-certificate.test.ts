import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, it } from 'vitest';
import type { Clock } from '../core/time.ts';
import { ensureCertificates, type PrivateKeys } from '../secrets/certificates.ts';
import { renewCertificate } from './renew-certificate.ts';
import { runLoop } from './run-loop.ts';

const day = 86_400_000;
let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'poolhouse-renewal-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** A clock of which a test says what time it is; who sleeps is woken then. */
function movedClock(start: number): Clock & { move(by: number): void } {
  let now = start;
  let wake = () => undefined as unknown;
  return {
    now: () => now,
    sleep: (_ms, signal) =>
      new Promise((resolve, reject) => {
        wake = () => {
          resolve();
        };
        signal?.addEventListener('abort', () => {
          reject(signal.reason as Error);
        });
      }),
    move(by) {
      now += by;
      wake();
    },
  };
}

it('renews the certificate of a server that serves, before it ends', async () => {
  const kept = new Map<string, string>();
  const keys: PrivateKeys = {
    read: (name) => Promise.resolve(kept.get(name)),
    write: (name, pem) => Promise.resolve(void kept.set(name, pem)),
  };
  // So that the client, whose clock nobody moves, takes the first one and the next.
  const clock = movedClock(Date.now() - 369.5 * day);
  const wanted = { folder, keys, names: ['127.0.0.1'] };
  let present = await ensureCertificates({ ...wanted, now: clock.now() });
  const server = createServer({ cert: present.certificatePem, key: present.keyPem }, (_request, response) => {
    response.end('served');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // a TCP server has one
  const stopping = new AbortController();
  let renewed = () => undefined as unknown;
  const log = pino({ level: 'info' }, { write: () => renewed() });
  const renewal = renewCertificate({
    present: () => present,
    request: wanted,
    servers: [server],
    renewed: (newer) => {
      present = newer;
    },
    clock,
    log,
  });
  const loop = runLoop({ ...renewal, clock, log, signal: stopping.signal });

  const ask = async () => {
    const ca = await readFile(present.caFile);
    return new Promise<string>((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port, ca }, () => {
        resolve(socket.getPeerCertificate().serialNumber);
        socket.destroy();
      }).on('error', reject);
    });
  };
  try {
    const first = await ask();
    clock.move(day);
    expect(await ask()).toBe(first);
    const done = new Promise<void>((resolve) => {
      renewed = () => {
        resolve();
      };
    });
    clock.move(364 * day + 5 * day); // 28 days before its end
    await done;
    expect(await ask()).not.toBe(first);
  } finally {
    stopping.abort();
    await loop.stopped;
    server.close();
  }
});
