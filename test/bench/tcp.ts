/**
 * Plain TCP through the gateway's own process, against HAProxy (one thread, its defaults) before the same back end, in
 * turns, so that whatever else the machine does meets both alike.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { missingForSystemTests, must, repository, until } from '../e2e/installation.ts';
import type { Benchmark } from './benchmark.ts';

const bytes = 2 ** 30;
const rounds = 5;
const endpoint = join(repository, 'test/bench/endpoint.ts');

interface Ports {
  direct: number;
  gateway: number;
  haproxy?: number;
}

/** A back end that greets each connection with so many bytes, and what stands before it. */
async function withPorts<T>(greeting: number, haproxy: boolean, work: (ports: Ports) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'poolhouse-bench-tcp-'));
  const children: ChildProcess[] = [];
  const start = (program: string, ...argv: string[]) => {
    const child = spawn(program, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
    children.push(child);
    return child;
  };
  try {
    const backEnd = start(process.execPath, endpoint, 'serve', String(greeting));
    const [printed] = (await once(backEnd.stdout, 'data')) as [Buffer];
    const direct = Number(printed.toString());
    const gateway = await freePort();
    await writeFile(join(folder, 'routes.json'), JSON.stringify(tableFor(gateway, direct)));
    start(
      process.execPath,
      join(repository, 'src/gateway/main.ts'),
      ...['--socket', join(folder, 'no-control'), '--state', join(folder, 'routes.json'), '--log-level', 'error'],
    );
    const ports: Ports = { direct, gateway };
    if (haproxy) {
      ports.haproxy = await freePort();
      await writeFile(join(folder, 'haproxy.cfg'), haproxyConfiguration(ports.haproxy, direct));
      start('haproxy', '-db', '-f', join(folder, 'haproxy.cfg'));
    }
    for (const port of [ports.gateway, ports.haproxy]) if (port !== undefined) await untilOpen(port);
    return await work(ports);
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await rm(folder, { recursive: true });
  }
}

function tableFor(listenPort: number, backEnd: number): object {
  return {
    revision: 1,
    routes: [
      {
        id: 'bench',
        listenPort,
        publicAddress: '127.77.255.1',
        publicPort: 4_000,
        distribution: 'Default',
        idleTimeoutSeconds: 240,
        probe: null,
        backends: [{ instance: 'one', address: '127.0.0.1', port: backEnd, accepting: true }],
      },
    ],
  };
}

const haproxyConfiguration = (port: number, backEnd: number) => `global
  nbthread 1
defaults
  mode tcp
  timeout connect 5s
  timeout client 240s
  timeout server 240s
listen bench
  bind 127.0.0.1:${port}
  server one 127.0.0.1:${backEnd}
`;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // a TCP server has one
  server.close();
  await once(server, 'close');
  return port;
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
