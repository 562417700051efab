/** What stands beside the gateway in a benchmark, and the gateway's own process without control. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repository } from '../e2e/installation.ts';

/** A folder and processes that end with the work. */
export interface Ground {
  folder: string;
  start: (program: string, ...argv: string[]) => ChildProcess;
}

export async function onGround<T>(name: string, work: (ground: Ground) => Promise<T>): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), `poolhouse-bench-${name}-`));
  const children: ChildProcess[] = [];
  try {
    return await work({
      folder,
      start(program, ...argv) {
        const child = spawn(program, argv, { stdio: ['ignore', 'pipe', 'inherit'] });
        children.push(child);
        return child;
      },
    });
  } finally {
    for (const child of children) child.kill('SIGKILL');
    await rm(folder, { recursive: true, maxRetries: 5 }); // what a shell behind sshd still writes
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo; // a TCP server has one
  server.close();
  await once(server, 'close');
  return port;
}

/** A route that leads to one back end, for whoever comes; `people` makes it one that knows them. */
export function routeTo(listenPort: number, backEnd: number, people: object = {}): object {
  return {
    id: 'bench',
    listenPort,
    publicAddress: '127.77.255.1',
    publicPort: 4_000,
    distribution: 'Default',
    idleTimeoutSeconds: 240,
    probe: null,
    backends: [{ instance: 'one', address: '127.0.0.1', port: backEnd, accepting: true }],
    ...people,
  };
}

/** The gateway's own process, as it serves what it last heard while control is away. */
export async function startGateway(
  { folder, start }: Ground,
  routes: readonly object[],
  directory?: object,
): Promise<ChildProcess> {
  await writeFile(join(folder, 'routes.json'), JSON.stringify({ revision: 1, routes }));
  if (directory !== undefined)
    await writeFile(join(folder, 'directory.json'), JSON.stringify(directory), { mode: 0o600 });
  return start(
    process.execPath,
    join(repository, 'src/gateway/main.ts'),
    ...['--socket', join(folder, 'no-control'), '--state', join(folder, 'routes.json'), '--log-level', 'error'],
  );
}

/** HAProxy with one thread and its defaults, before the same back end; gives its port. */
export async function startHaproxy(
  { folder, start }: Ground,
  backEnd: number,
  { mode, certificateFile }: { mode: 'tcp' | 'http'; certificateFile?: string } = { mode: 'tcp' },
): Promise<number> {
  const port = await freePort();
  await writeFile(
    join(folder, 'haproxy.cfg'),
    `global
  nbthread 1
defaults
  mode ${mode}
  timeout connect 5s
  timeout client 240s
  timeout server 240s
listen bench
  bind 127.0.0.1:${port}${certificateFile === undefined ? '' : ` ssl crt ${certificateFile}`}
  server one 127.0.0.1:${backEnd}
`,
  );
  start('haproxy', '-db', '-f', join(folder, 'haproxy.cfg'));
  return port;
}

/** In turns, whoever was first last time being last now, so that whatever else the machine does meets all alike. */
export async function inTurns<K extends string>(
  rounds: number,
  names: readonly K[],
  measure: (name: K, round: number) => Promise<number>,
): Promise<Record<K, number[]>> {
  const measured = Object.fromEntries(names.map((name) => [name, [] as number[]])) as Record<K, number[]>;
  for (let round = 0; round < rounds; round += 1) {
    const turn = round % names.length;
    for (const name of [...names.slice(turn), ...names.slice(0, turn)]) measured[name].push(await measure(name, round));
  }
  return measured;
}
