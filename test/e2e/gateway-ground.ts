/**
 * Gateways as an installation has them, supervised and in processes of their own, without the rest of it: the test is their
 * control, and the instances are small servers of the test.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { onTestFinished } from 'vitest';
import { createGatewayReports } from '../../src/control/gateway-reports.ts';
import { createSessionOrders } from '../../src/control/session-orders.ts';
import { homeAt, runtimeFolderOf } from '../../src/core/home.ts';
import type { Installation } from '../../src/core/installation.ts';
import { programFiles } from '../../src/core/program-files.ts';
import { systemClock } from '../../src/core/system-clock.ts';
import { startFakeSshd, type FakeSshd } from '../../src/gateway/ssh/fake-instance.ts';
import { generateKey, parseKey } from '../../src/gateway/ssh/library.ts';
import { encodePublicKey } from '../../src/gateway/ssh/ssh-keys.ts';
import { dial, freePort, startInstance, tcpRoute } from '../../src/gateway/test-support.ts';
import { silentProgress } from '../../src/host/progress.ts';
import { createOwnSupervision } from '../../src/host/supervision/own.ts';
import type { Programs } from '../../src/host/supervision/supervision.ts';
import {
  askGateway,
  gatewaySocketName,
  gatewayStateSchema,
  placesSchema,
  type GatewayState,
} from '../../src/link/gateway-words.ts';
import type { Directory, PlacementAnswer } from '../../src/link/people.ts';
import { createLinkServer } from '../../src/link/server.ts';

const pool = '/pools/team';
const pem = (key: { export(options: { type: 'pkcs8'; format: 'pem' }): string | Buffer }) =>
  key.export({ type: 'pkcs8', format: 'pem' }) as string;

/** Gateways that serve; all of it is gone when the test ends. Instances are called i-0, i-1 … */
export async function prepareGateways({ gateways = 1, instances: count = 1 } = {}) {
  const folder = await mkdtemp(join(tmpdir(), 'poolhouse-gateways-'));
  const home = homeAt(folder);
  const run = runtimeFolderOf(home, '0123abcd', false);
  await mkdir(run.gateway, { recursive: true });
  const authority = generateKeyPairSync('ed25519').privateKey;
  const sshds: FakeSshd[] = [];
  for (let index = 0; index < count; index += 1) sshds.push(await startFakeSshd(encodePublicKey(authority).blob));
  const plain = await startInstance('plain');
  const ports = { ssh: await freePort(), tcp: await freePort() };
  const own = generateKey('alice@laptop');
  await writeFile(join(folder, 'key'), own.private, { mode: 0o600 });
  const keyLine = `ssh-ed25519 ${parseKey(own.public).getPublicSSH().toString('base64')}`;

  const directory: Directory = {
    revision: '1',
    users: ['alice', 'bob'].map((name) => ({ name, pools: [pool], keys: [keyLine] })),
    hostKeys: [pem(generateKeyPairSync('ed25519').privateKey)],
    userAuthority: pem(authority),
    userAuthorities: [],
    instanceKeys: Object.fromEntries(sshds.map((sshd, index) => [`i-${String(index)}`, [sshd.hostKeyLine]])),
  };
  const probe = { id: 'p', protocol: 'tcp', port: plain.port, path: '/', intervalSeconds: 5, failures: 2 } as const;
  const table = {
    revision: 1,
    routes: [
      tcpRoute(ports.tcp, [plain], { probe }),
      {
        ...{ ...tcpRoute(ports.ssh, []), protocol: 'ssh' as const, pool },
        backends: sshds.map(({ port }, index) => ({
          ...{ instance: `i-${String(index)}`, address: '127.0.0.1', port, accepting: true },
        })),
      },
    ],
  };
  const reports = createGatewayReports(0);
  const control = {
    /** Where people go. */
    place: (_user: string): PlacementAnswer => ({ outcome: 'placed', instance: 'i-0' }),
  };
  const startControl = async () => {
    const server = createLinkServer({
      socketPath: run.linkSocket,
      currentTable: () => table,
      currentDirectory: () => directory,
      currentOrders: () => orders.list(),
      place: ({ user }) => Promise.resolve(control.place(user)),
      keep: () => Promise.reject(new Error('nothing is kept here')),
      answerSelf: () => Promise.reject(new Error('nobody changes their account here')),
      keepEnded: () => Promise.resolve(),
      onReport: (report) => void reports.take(report, Date.now()),
    });
    await server.listen();
    return server;
  };
  const orders = createSessionOrders({
    clock: systemClock,
    newId: randomUUID,
    publish: (list) => {
      link.publishOrders(list);
    },
  });
  const link = await startControl();

  const installation: Installation = {
    ...{ id: '0123abcd', engine: 'sim', apiPort: 1, addressBlock: '127.77.1.0/24', createdAt: '' },
    ...{ subscriptionId: randomUUID(), tenantId: randomUUID(), clientId: randomUUID() },
  };
  const supervision = createOwnSupervision({ home, installation, run, isRoot: false });
  // What Node makes of the code is kept from one process to the next: they begin sooner.
  const env = { PATH: '/usr/bin:/bin', NODE_COMPILE_CACHE: join(tmpdir(), 'poolhouse-gateways-compiled') };
  const programs: Programs = {
    control: { argv: ['/bin/sleep', '600'], told: [], env, version: '' },
    gateway: {
      argv: [
        ...[process.execPath, programFiles.program('gateway/main')],
        ...['--socket', run.linkSocket, '--state', run.gatewayState, '--grace', '2'],
      ],
      ...{ told: [], env, version: '' },
    },
    gateways,
  };
  onTestFinished(async () => {
    await supervision.remove();
    await link.close();
    await plain.close();
    await rm(folder, { recursive: true });
  });
  await supervision.start(programs, silentProgress);

  /** How a gateway stands, by its serial; undefined where it does not run. */
  const stateOf = (serial: number): Promise<GatewayState | undefined> =>
    askGateway(join(run.gateway, gatewaySocketName(serial)), { ask: 'state' }, gatewayStateSchema).catch(
      () => undefined,
    );
  const ssh = (user: string, command: string, { keeps = true } = {}): SshClient =>
    new SshClient(
      [
        ...['-F', 'none', '-i', join(folder, 'key'), '-o', 'BatchMode=yes', '-o', 'LogLevel=ERROR'],
        ...['-o', `UserKnownHostsFile=${join(folder, 'known')}`, '-o', 'StrictHostKeyChecking=accept-new'],
        ...['-o', 'IdentityAgent=none', '-p', String(ports.ssh), `${user}@127.0.0.1`, command],
      ],
      keeps,
    );
  await until('the gateways serve', async () => {
    const states = await Promise.all(Array.from({ length: gateways }, (_, index) => stateOf(index + 1)));
    return states.every((state) => state?.ports.length === 2 && state.knowsHealth);
  });
  return {
    ...{ reports, orders, control, link, stateOf, ssh },
    /** Where somebody is, as a gateway knows. */
    placesOf: (serial: number, user: string) =>
      askGateway(join(run.gateway, gatewaySocketName(serial)), { ask: 'places', pool, user }, placesSchema),
    /** Replaces all of them, as `poolhouse gateway restart` does. */
    restart: () => supervision.replaceGateways(programs, silentProgress),
    /** Opens plain connections at this rate, each of which has to meet the instance, until it is told to stop. */
    knock: (everyMs: number) => knock(ports.tcp, everyMs),
  };
}

/** A client of OpenSSH that runs, with what it has said so far. */
export class SshClient {
  readonly child: ChildProcess;
  readonly done: Promise<number | null>;
  text = '';
  errors = '';

  /** @param keeps whether what it says is kept as text */
  constructor(argv: readonly string[], keeps: boolean) {
    const child = spawn('ssh', argv, { stdio: ['pipe', 'pipe', 'pipe'] });
    this.child = child;
    if (keeps) child.stdout.on('data', (chunk: Buffer) => (this.text += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (this.errors += chunk.toString()));
    child.stdin.on('error', () => undefined);
    this.done = once(child, 'close').then(() => child.exitCode);
    onTestFinished(() => void child.kill('SIGKILL'));
  }

  /** Sends a line to a program that gives it back. */
  async echo(line: string): Promise<void> {
    this.child.stdin?.write(`${line}\n`);
    await until(`'${line}' comes back`, () => this.text.includes(`${line}\n`));
  }
}

function knock(port: number, everyMs: number) {
  const stopping = new AbortController();
  const failures: string[] = [];
  const open: Promise<void>[] = [];
  const opening = (async () => {
    for (let next = Date.now(); !stopping.signal.aborted; next += everyMs) {
      const client = dial(port);
      open.push(
        client
          .greeting()
          .catch((error: unknown) => void failures.push(String(error)))
          .then(() => void client.socket.destroy()),
      );
      await sleep(Math.max(0, next + everyMs - Date.now()), undefined, { signal: stopping.signal }).catch(
        () => undefined,
      );
    }
  })();
  return {
    /** How many there were, and why some met nobody. */
    async stop() {
      stopping.abort();
      await opening;
      await Promise.all(open);
      return { opened: open.length, failures };
    },
  };
}

/** Waits until this holds; fails with what was waited for. */
export async function until(what: string, holds: () => boolean | Promise<boolean>, limitMs = 15_000): Promise<void> {
  const end = Date.now() + limitMs;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`waited in vain until ${what}`);
    await sleep(20);
  }
}
