/** For tests: SSH that knows people on a port of loopback, with everything around it that is not SSH made up. */
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { onTestFinished } from 'vitest';
import { systemClock } from '../../core/system-clock.ts';
import type { Directory } from '../../link/people.ts';
import { createConnectionLedger } from '../connection-ledger.ts';
import { createAttemptLimit } from '../people/attempt-limit.ts';
import { createDirectoryView } from '../people/directory-view.ts';
import { createSessionLedger } from '../people/session-ledger.ts';
import { createSignIn } from '../people/sign-in.ts';
import type { Protocol } from '../protocol.ts';
import { nobodyObserves, tcpRoute } from '../test-support.ts';
import { createSshProtocol, type SshProtocolOptions } from './ssh-protocol.ts';

export interface ServedPeople {
  port: number;
  protocol: Protocol;
  logged: { fields: Record<string, unknown>; message: string }[];
}

export const servedPool = '/pools/team';

/** Serves until the test is over. `address` is what a client's is taken for. */
export async function servePeople(
  directory: Directory,
  changes: Partial<SshProtocolOptions> = {},
  address: () => string = () => '127.0.0.1',
): Promise<ServedPeople> {
  const logged: ServedPeople['logged'] = [];
  const say = (fields: object, message: string) =>
    void logged.push({ fields: fields as Record<string, unknown>, message });
  const log = { debug: say, info: say, warn: say, error: say };
  const view = createDirectoryView();
  view.take(directory);
  const route = { ...tcpRoute(1, []), protocol: 'ssh' as const, pool: servedPool };
  const protocol = createSshProtocol({
    directory: view,
    signIn: createSignIn({ directory: view, limit: createAttemptLimit(systemClock), log }),
    ownAccounts: {
      keep: () => Promise.resolve({ outcome: 'refused', message: 'Nothing is kept here.' }),
      ask: () => Promise.resolve({ outcome: 'refused', message: 'Nobody is known here.' }),
    },
    placer: { place: () => Promise.resolve({ outcome: 'refused', message: 'There is no machine here.' }) },
    sessions: createSessionLedger(
      () => systemClock.now(),
      () => undefined,
    ),
    ledger: createConnectionLedger(() => undefined),
    observer: nobodyObserves,
    log,
    clock: systemClock,
    newTicket: () => 'ticket',
    routeNow: () => route,
    ...changes,
  });
  return { port: await listenFor(protocol, route, address), protocol, logged };
}

/** Hands what comes to the protocol until the test is over; answers with the port. */
export async function listenFor(
  protocol: Protocol,
  route: Parameters<Protocol['accept']>[0]['route'],
  address: () => string = () => '127.0.0.1',
): Promise<number> {
  const listener = createServer({ pauseOnConnect: true, allowHalfOpen: true, noDelay: true }, (socket) => {
    socket.on('error', () => undefined);
    protocol.accept({ socket, route, client: { address: address(), port: socket.remotePort ?? 0 } });
  });
  await once(listener.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void listener.close());
  return (listener.address() as AddressInfo).port;
}
