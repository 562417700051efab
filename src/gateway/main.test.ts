import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmod, chown, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EndedSignIn } from '../link/ended-sign-ins.ts';
import { askGateway, gatewaySocketName, gatewayStateSchema } from '../link/gateway-words.ts';
import type { Report, Route } from '../link/routes.ts';
import { createLinkServer } from '../link/server.ts';
import type { LinkServer } from '../link/server.ts';
import { createSiblings } from './siblings.ts';
import { dial, freePort, meet, startInstance, tcpRoute, until } from './test-support.ts';
import type { FakeInstance } from './test-support.ts';

const main = fileURLToPath(new URL('./main.ts', import.meta.url));
const nobody = 65_534;

let folder: string;
let control: LinkServer | undefined;
let reports: Report[];
let ended: EndedSignIn[];
let processes: ChildProcess[];
let instances: FakeInstance[];
let revision = 100;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'poolhouse-gateway-'));
  reports = [];
  ended = [];
  processes = [];
  instances = [];
});
afterEach(async () => {
  for (const child of processes) await kill(child, 'SIGKILL');
  await control?.close();
  for (const each of instances) await each.close();
  await rm(folder, { recursive: true, force: true });
});

interface Running {
  child: ChildProcess;
  log: () => string;
}

function startGateway(...more: string[]): Running {
  const args = [
    main,
    '--socket',
    join(folder, 'link.sock'),
    '--state',
    join(folder, 'routes.json'),
    '--grace',
    '60',
    ...more,
  ];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  processes.push(child);
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (text += chunk.toString()));
  return { child, log: () => text };
}

async function startControl(...routes: Route[]): Promise<LinkServer> {
  const table = { revision: ++revision, routes };
  const server = createLinkServer({
    socketPath: join(folder, 'link.sock'),
    ...(process.getuid?.() === 0 ? { socketGroup: nobody } : {}),
    currentTable: () => table,
    currentDirectory: () => ({
      revision: '',
      users: [],
      hostKeys: [],
      userAuthority: '',
      userAuthorities: [],
      instanceKeys: {},
    }),
    currentOrders: () => ({ revision: '', orders: [] }),
    keep: () => Promise.resolve({ outcome: 'refused', message: 'nobody asked' }),
    answerSelf: () => Promise.resolve({ outcome: 'refused', message: 'nobody asked' }),
    place: () => Promise.resolve({ outcome: 'refused', message: 'nobody is placed here' }),
    keepEnded: (told) => Promise.resolve(void ended.push(...told)),
    onReport: (report) => void reports.push(report),
  });
  await server.listen();
  control = server;
  return server;
}

async function instance(name: string): Promise<FakeInstance> {
  const started = await startInstance(name);
  instances.push(started);
  return started;
}

async function kill(child: ChildProcess, signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, 'exit');
  child.kill(signal);
  await exited;
}

/** How a gateway says that it stands; undefined where it does not run. */
const stateOf = (serial: number) => () =>
  askGateway(join(folder, gatewaySocketName(serial)), { ask: 'state' }, gatewayStateSchema).catch(() => undefined);

const latest = (): Report | undefined => reports.at(-1);

describe('the gateway process', () => {
  it('serves what control says, and tells what it sees', async () => {
    const port = await freePort();
    const backend = await instance('i-0');
    const probe = { id: 'p', protocol: 'tcp', port: backend.port, path: '/', intervalSeconds: 5, failures: 2 } as const;
    await startControl(tcpRoute(port, [backend], { probe }));
    const { child } = startGateway();
    await until('the instance is reported healthy', () => latest()?.probes[0]?.healthy === true);
    expect(latest()).toMatchObject({ pid: child.pid, revision, failures: [] });
    const client = dial(port);
    expect(await client.greeting()).toBe('i-0');
    await until('the connection is reported', () => latest()?.connections[0]?.open === 1);
    client.socket.destroy();
    await until('its end is reported', () => latest()?.connections.length === 0);
  });

  it('keeps connections and goes on serving while control is away, and hears of changes when it is back', async () => {
    const port = await freePort();
    const [first, second] = [await instance('i-0'), await instance('i-1')];
    const before = await startControl(tcpRoute(port, [first]));
    const { log } = startGateway();
    await until('it serves', async () => (await meet(port)) === 'i-0');
    const client = dial(port);
    await client.greeting();
    await before.close();
    await until('the gateway noticed', () => log().includes('control is away'));
    await client.echo('without control');
    expect(await meet(port)).toBe('i-0');
    const after = await startControl(tcpRoute(port, [second]));
    await until('the new table is reported', () => latest()?.revision === revision);
    expect(await meet(port)).toBe('i-1');
    await client.echo('with another control');
    after.publish({ revision: ++revision, routes: [tcpRoute(port, [first])] });
    await until('a published table is reported', () => latest()?.revision === revision);
    expect(await meet(port)).toBe('i-0');
    client.socket.destroy();
  });

  it('serves from its state file after a kill, while control is down', async () => {
    const port = await freePort();
    const backend = await instance('i-0');
    const probe = { id: 'p', protocol: 'tcp', port: backend.port, path: '/', intervalSeconds: 5, failures: 2 } as const;
    const server = await startControl(tcpRoute(port, [backend], { probe }));
    const { child } = startGateway();
    await until('the table is stored', async () =>
      (await readFile(join(folder, 'routes.json'), 'utf8').catch(() => '')).includes('i-0'),
    );
    await server.close();
    await kill(child, 'SIGKILL');
    expect(await meet(port)).toBeUndefined();
    const again = startGateway();
    await until('it serves again', async () => (await meet(port)) === 'i-0');
    expect(again.log()).not.toContain('control is back');
  });

  it('starts with a state file that is broken, says so, and serves when control answers', async () => {
    const port = await freePort();
    await writeFile(join(folder, 'routes.json'), '{"revision":');
    const { log } = startGateway();
    await until('it says so', () => log().includes('cannot be read'));
    await startControl(tcpRoute(port, [await instance('i-0')]));
    await until('it serves', async () => (await meet(port)) === 'i-0');
  });

  it('lets connections end after SIGTERM, and exits then', async () => {
    const port = await freePort();
    await startControl(tcpRoute(port, [await instance('i-0')]));
    const { child } = startGateway();
    await until('it serves', async () => (await meet(port)) === 'i-0');
    const client = dial(port);
    await client.greeting();
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await until('the port is closed', async () => (await meet(port)) === undefined);
    await client.echo('still here');
    client.socket.destroy();
    expect(await exited).toEqual([0, null]);
  });

  it('leaves for another one: it has no port any more, carries what it has, and ends with the last of it', async () => {
    const port = await freePort();
    await startControl(tcpRoute(port, [await instance('i-0')]));
    const { child } = startGateway();
    await until('it serves', async () => (await meet(port)) === 'i-0');
    const client = dial(port);
    await client.greeting();
    const other = startGateway('--serial', '2');
    const [first, second] = [stateOf(1), stateOf(2)];
    await until('both share the port', async () => (await second())?.ports.includes(port) === true);
    child.kill('SIGUSR2');
    await until('the first has left', async () => (await first())?.phase === 'leaving');
    expect(await first()).toMatchObject({ serial: 1, pid: child.pid, ports: [], connections: 1 });
    await until('control knows', () => reports.some(({ pid, phase }) => pid === child.pid && phase === 'leaving'));
    expect(await meet(port)).toBe('i-0');
    await client.echo('still here');
    const exited = once(child, 'exit');
    client.socket.destroy();
    expect(await exited).toEqual([0, null]);
    expect(reports.find(({ pid, phase }) => pid === child.pid && phase === 'ended')?.connections).toEqual([]);
    expect(other.log()).not.toContain('"level":50');
  });

  it('tells control of a sign-in that another has said to have ended, when control is there', async () => {
    startGateway();
    await until('it serves', async () => (await stateOf(1)()) !== undefined);
    const one = { pool: '/pools/team', user: 'ada', id: 'token', issued: Date.now(), expires: Date.now() + 60_000 };
    await createSiblings(folder, 2).tellEnded(one);
    await startControl();
    await until('control knows', () => ended.length > 0);
    expect(ended).toEqual([one]);
  });

  it('carries on no longer than it may', async () => {
    const port = await freePort();
    await startControl(tcpRoute(port, [await instance('i-0')]));
    control?.publish({
      revision: ++revision,
      routes: [tcpRoute(port, [await instance('i-1')])],
      settings: { logLevel: 'info', leaveHours: 0 },
    });
    const { child, log } = startGateway('--grace', '0');
    await until('it serves', async () => (await meet(port)) === 'i-1');
    const client = dial(port);
    await client.greeting();
    const exited = once(child, 'exit');
    child.kill('SIGUSR2');
    expect(await exited).toEqual([0, null]);
    expect(log()).toContain('for as long as it may');
  });

  it('does not share a port with a gateway of another installation', async () => {
    const port = await freePort();
    await startControl(tcpRoute(port, [await instance('ours')]));
    startGateway();
    await until('it serves', async () => (await meet(port)) === 'ours');
    const elsewhere = join(folder, 'elsewhere');
    await mkdir(elsewhere);
    const theirs = { revision: 1, routes: [tcpRoute(port, [await instance('theirs')])] };
    await writeFile(join(elsewhere, 'routes.json'), JSON.stringify(theirs));
    const { log } = startGateway('--state', join(elsewhere, 'routes.json'));
    await until('it says so', () => log().includes('EADDRINUSE'));
    for (let count = 0; count < 10; count += 1) expect(await meet(port)).toBe('ours');
  });

  it('ends at once at a second signal', async () => {
    const port = await freePort();
    await startControl(tcpRoute(port, [await instance('i-0')]));
    const { child, log } = startGateway();
    await until('it serves', async () => (await meet(port)) === 'i-0');
    const client = dial(port);
    await client.greeting();
    const exited = once(child, 'exit');
    child.kill('SIGTERM');
    await until('it stops', () => log().includes('no new connections'));
    child.kill('SIGTERM');
    expect(await exited).toEqual([0, null]);
  });

  it.skipIf(process.getuid?.() !== 0)('becomes an unprivileged user (needs root)', async () => {
    const port = await freePort();
    await chmod(folder, 0o750);
    await chown(folder, nobody, nobody);
    await startControl(tcpRoute(port, [await instance('i-0')]));
    const { child } = startGateway('--user', 'nobody');
    await until('it serves', async () => (await meet(port)) === 'i-0');
    const status = await readFile(`/proc/${String(child.pid)}/status`, 'utf8');
    expect(status).toMatch(/^Uid:\t65534\t65534\t65534\t65534$/m);
    expect(status).toMatch(/^CapEff:\t0+$/m);
    await until('the table is stored', async () =>
      (await readFile(join(folder, 'routes.json'), 'utf8').catch(() => '')).includes('i-0'),
    );
  });

  it.each([
    [['--user', 'no-such-user-here'], 1, "no user 'no-such-user-here'"],
    [['--grace', 'soon'], 2, "--grace 'soon'"],
    [['--what'], 2, 'usage:'],
  ])('refuses %j', async (args, code, text) => {
    const { child, log } = startGateway(...args);
    expect(await once(child, 'close')).toEqual([code, null]);
    expect(log()).toContain(text);
  });
});
