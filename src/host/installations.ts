/** Makes an installation: its ids, ports and secrets, chosen so that they collide with no other one of this machine. */
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../core/config.ts';
import { PoolhouseError } from '../core/errors.ts';
import type { Home } from '../core/home.ts';
import { installationSchema, type Installation } from '../core/installation.ts';
import { runCommand } from './run-command.ts';

/** The installation of a home; undefined before the first `up`. */
export async function readInstallation(home: Home): Promise<Installation | undefined> {
  const text = await readFile(home.installation, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new PoolhouseError(
      'HostNotReady',
      `${home.installation} cannot be read. Run this as the user who owns it (root, usually).`,
      { cause: error },
    );
  });
  if (text === undefined) return undefined;
  try {
    return installationSchema.parse(JSON.parse(text));
  } catch (error) {
    throw new PoolhouseError('InvalidConfiguration', `${home.installation} is damaged. Restore it from a backup.`, {
      cause: error,
    });
  }
}

/**
 * Makes the home folder with everything that must exist before control starts. Gives what is there already as it is, but
 * for the ports, which the operator may change.
 */
export async function ensureInstallation(home: Home, config: Config): Promise<Installation> {
  await mkdir(home.folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw new PoolhouseError(
      'HostNotReady',
      `The folder ${home.folder} cannot be made. Run this as root, or set POOLHOUSE_HOME to a folder of yours.`,
      { cause: error },
    );
  });
  await chmod(home.folder, 0o700);
  for (const folder of [home.secrets, home.backups, home.images, home.logs, home.recipes])
    await mkdir(folder, { recursive: true, mode: 0o700 });
  const present = await readInstallation(home);
  if (present !== undefined) {
    const apiPort = config.apiPort ?? present.apiPort;
    const wanted = { ...present, apiPort, metricsPorts: await metricsPorts(config, apiPort, present.metricsPorts) };
    return isDeepStrictEqual(wanted, present) ? present : write(home, wanted);
  }
  const others = await othersInUse();
  const apiPort = config.apiPort ?? (await freePort({ first: 8_943, key: 'apiPort' }));
  const installation: Installation = {
    id: randomBytes(4).toString('hex'),
    engine: config.engine,
    apiPort,
    metricsPorts: await metricsPorts(config, apiPort),
    addressBlock: freeBlock(others),
    subscriptionId: randomUUID(),
    tenantId: randomUUID(),
    clientId: randomUUID(),
    createdAt: new Date().toISOString(),
  };
  return write(home, installation);
}

async function write(home: Home, installation: Installation): Promise<Installation> {
  const text = `${JSON.stringify(installation, null, 2)}\n`;
  await writeFile(`${home.installation}.new`, text, { mode: 0o600, flush: true });
  await rename(`${home.installation}.new`, home.installation);
  return installation;
}

/** Address blocks that rules of the kernel lead somewhere already. */
async function othersInUse(): Promise<Set<number>> {
  const result = await runCommand('nft', ['list', 'ruleset'], { timeoutMs: 10_000 }).catch(() => undefined);
  const found = result?.stdout.matchAll(/127\.77\.(\d{1,3})\.\d{1,3}/g) ?? [];
  return new Set([...found].map((match) => Number(match[1])));
}

function freeBlock(taken: ReadonlySet<number>): string {
  const start = randomBytes(1)[0] ?? 0;
  for (let step = 0; step < 256; step += 1) {
    const block = (start + step) % 256;
    if (!taken.has(block)) return `127.77.${block}.0/24`;
  }
  throw new PoolhouseError(
    'HostNotReady',
    'All address blocks of 127.77.0.0/16 are taken by other installations on this machine.',
  );
}

/**
 * Where the processes tell their health and metrics: as configured, else as before, else free ones. The search begins
 * somewhere, not at one number, so that an installation that is down at the moment keeps its own.
 */
async function metricsPorts(
  config: Config,
  apiPort: number,
  before?: Installation['metricsPorts'],
): Promise<{ control: number; gateway: number }> {
  const taken = new Set([apiPort, ...Object.values(config.metricsPorts)].filter((port) => port !== undefined));
  const choose = async (name: 'control' | 'gateway') => {
    const set = config.metricsPorts[name];
    if (set !== undefined) return set;
    const first = randomInt(18_000, 19_000);
    const kept = before?.[name];
    const port =
      kept !== undefined && !taken.has(kept) ? kept : await freePort({ first, key: `metricsPorts.${name}`, taken });
    taken.add(port);
    return port;
  };
  const ports = { control: await choose('control'), gateway: await choose('gateway') };
  if (new Set([apiPort, ports.control, ports.gateway]).size < 3)
    throw new PoolhouseError(
      'InvalidConfiguration',
      `'apiPort' (${apiPort}), 'metricsPorts.control' (${ports.control}) and 'metricsPorts.gateway' (${ports.gateway}) have to be three different ports. Change config.json.`,
    );
  return ports;
}

async function freePort(wanted: { first: number; key: string; taken?: ReadonlySet<number> }): Promise<number> {
  const { first, key, taken } = wanted;
  for (let port = first; port < first + 200; port += 1) {
    if (taken?.has(port) === true) continue;
    const free = await new Promise<boolean>((resolve) => {
      const server = createServer();
      server.once('error', () => {
        resolve(false);
      });
      server.listen({ host: '127.0.0.1', port }, () =>
        server.close(() => {
          resolve(true);
        }),
      );
    });
    if (free) return port;
  }
  throw new PoolhouseError(
    'HostNotReady',
    `No free port was found between ${first} and ${first + 199} on 127.0.0.1. Set '${key}' in config.json.`,
  );
}
