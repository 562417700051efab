/** The gateway's own port for each route: given once and kept, so that a restart of either process changes nothing. */
import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import { PoolhouseError } from '../core/errors.ts';
import type { Store } from '../store/store.ts';

/** Below the ports that the kernel gives to outgoing connections. */
const firstPort = 15_000;
const lastPort = 31_999;
const attempts = 500;

export interface ListenPorts {
  /** A port for each of these routes; ports of other routes are given back. */
  forRoutes(routeIds: readonly string[]): Promise<Map<string, number>>;
  /** The gateway could not open it: another one is chosen at the next asking. */
  giveUp(routeId: string): Promise<void>;
}

export function createListenPorts(store: Store, installation: string): ListenPorts {
  return {
    async forRoutes(routeIds) {
      const rows = await store.db.selectFrom('listen_ports').selectAll().execute();
      const known = new Map(rows.map((row) => [row.route, row.port]));
      const wanted = new Set(routeIds);
      const unwanted = rows.filter((row) => !wanted.has(row.route));
      if (unwanted.length > 0) {
        await store.db
          .deleteFrom('listen_ports')
          .where(
            'route',
            'in',
            unwanted.map((row) => row.route),
          )
          .execute();
        for (const row of unwanted) known.delete(row.route);
      }
      const taken = new Set(known.values());
      for (const route of wanted) {
        if (known.has(route)) continue;
        const port = await freePort(`${installation} ${route}`, taken);
        taken.add(port);
        known.set(route, port);
        await store.db.insertInto('listen_ports').values({ route, port }).execute();
      }
      return known;
    },
    async giveUp(routeId) {
      await store.db.deleteFrom('listen_ports').where('route', '=', routeId).execute();
    },
  };
}

/** Begins at a place that depends on the route, so that two installations seldom ask for the same port. */
async function freePort(seed: string, taken: ReadonlySet<number>): Promise<number> {
  const range = lastPort - firstPort + 1;
  const start = createHash('sha256').update(seed).digest().readUInt32BE(0) % range;
  for (let step = 0; step < attempts; step += 1) {
    const port = firstPort + ((start + step) % range);
    if (!taken.has(port) && (await isFree(port))) return port;
  }
  throw new PoolhouseError(
    'HostNotReady',
    `No free port was found between ${firstPort} and ${lastPort} for the gateway. Something on this host listens on hundreds of them.`,
    { retryable: true },
  );
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => {
      resolve(false);
    });
    server.listen({ port, host: '0.0.0.0' }, () => {
      server.close(() => {
        resolve(true);
      });
    });
  });
}
