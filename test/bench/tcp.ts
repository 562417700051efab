/**
 * Plain TCP through the gateway's own process, against HAProxy (one thread, its defaults) before the same back end, in
 * turns, so that whatever else the machine does meets both alike.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { missingForSystemTests, must, repository, until } from '../e2e/installation.ts';
import type { Benchmark } from './benchmark.ts';
import { freePort, onGround, routeTo, startGateway, startHaproxy } from './peers.ts';

const bytes = 2 ** 30;
const rounds = 5;
const endpoint = join(repository, 'test/bench/endpoint.ts');

interface Ports {
  direct: number;
  gateway: number;
  haproxy?: number;
}

/** A back end that greets each connection with so many bytes, and what stands before it. */
function withPorts<T>(greeting: number, haproxy: boolean, work: (ports: Ports) => Promise<T>): Promise<T> {
  return onGround('tcp', async (ground) => {
    const backEnd = ground.start(process.execPath, endpoint, 'serve', String(greeting));
    if (backEnd.stdout === null) throw new Error('the back end has no output');
    const [printed] = (await once(backEnd.stdout, 'data')) as [Buffer];
    const direct = Number(printed.toString());
    const gateway = await freePort();
    await startGateway(ground, [routeTo(gateway, direct)]);
    const ports: Ports = { direct, gateway, ...(haproxy ? { haproxy: await startHaproxy(ground, direct) } : {}) };
    for (const port of [ports.gateway, ports.haproxy]) if (port !== undefined) await untilOpen(port);
    return work(ports);
  });
}

/** Milliseconds until a new connection has brought its first byte. */
function greet(port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const begun = performance.now();
    const socket = connect({ host: '127.0.0.1', port, noDelay: true });
    socket.once('error', reject);
    socket.once('data', () => {
      resolve(performance.now() - begun);
      socket.destroy();
    });
  });
}

const untilOpen = (port: number) =>
  until(`port ${port} serves`, async () => {
    const took = await greet(port).catch(() => undefined);
    return took === undefined ? undefined : true;
  });

const megabytesASecond = (ms: number) => bytes / 1e6 / (ms / 1_000);

export const tcpThroughput: Benchmark = {
  name: 'tcp.throughput.vs-haproxy',
  unit: 'x',
  goal: { atLeast: 1 },
  missing: async () =>
    (await missingForSystemTests(['haproxy'])) === undefined
      ? undefined
      : `HAProxy is missing (apt-get install haproxy), or this is not root`,
  async measure(say) {
    const ratios: number[] = [];
    const peers = { 'gateway MB/s': [] as number[], 'haproxy MB/s': [] as number[], 'direct MB/s': [] as number[] };
    await withPorts(bytes, true, async ({ direct, gateway, haproxy = NaN }) => {
      const fetch = async (port: number) =>
        Number(await must(process.execPath, [endpoint, 'fetch', String(port), String(bytes)]));
      await fetch(gateway);
      await fetch(haproxy);
      for (let round = 1; round <= rounds; round += 1) {
        say(`round ${round} of ${rounds}`);
        // Who comes first changes from round to round.
        const first = round % 2 === 1;
        const before = first ? await fetch(gateway) : await fetch(haproxy);
        const after = first ? await fetch(haproxy) : await fetch(gateway);
        const [ours, theirs] = first ? [before, after] : [after, before];
        ratios.push(theirs / ours);
        peers['gateway MB/s'].push(megabytesASecond(ours));
        peers['haproxy MB/s'].push(megabytesASecond(theirs));
        peers['direct MB/s'].push(megabytesASecond(await fetch(direct)));
      }
    });
    return { rounds: ratios, peers };
  },
};

/** Until the first byte of a new connection, more than without the gateway. */
export const tcpConnect: Benchmark = {
  name: 'tcp.connect.added.ms',
  unit: 'ms',
  goal: { atMost: 1 },
  missing: () => Promise.resolve(undefined),
  async measure() {
    const added: number[] = [];
    const direct: number[] = [];
    await withPorts(1, false, async (ports) => {
      for (let round = 0; round < 300; round += 1) {
        const without = await greet(ports.direct);
        direct.push(without);
        added.push((await greet(ports.gateway)) - without);
      }
    });
    return { rounds: added.slice(100), peers: { 'direct ms': direct.slice(100) } }; // the first ones compile
  },
};
