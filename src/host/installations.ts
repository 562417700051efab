/** Makes an installation: its ids, ports and secrets, chosen so that they collide with no other one of this machine. */
import { randomBytes, randomInt, randomUUID } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../core/config.ts';
import { PoolhouseError } from '../core/errors.ts';
import type { Home } from '../core/home.ts';
import { installationSchema, type Installation } from '../core/installation.ts';
import { nothingTaken, type Taken } from './claims.ts';
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
 * @param taken what other installations have; nobody else may take from it meanwhile
 */
export async function ensureInstallation(
  home: Home,
  config: Config,
  taken: Taken = nothingTaken,
): Promise<Installation> {
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
  if (config.apiPort !== undefined && taken.ports.has(config.apiPort))
    throw new PoolhouseError(
      'InvalidConfiguration',
      `'apiPort' ${config.apiPort} belongs to another installation on this machine. Set another one in ${home.config}.`,
    );
  const withFiles = async (installation: Installation): Promise<Installation> => ({
    ...installation,
    filesPort: await filesPort(config, installation, taken.ports),
  });
  const present = await readInstallation(home);
  if (present !== undefined) {
    const apiPort = config.apiPort ?? present.apiPort;
    const wanted = await withFiles({
      ...present,
      apiPort,
      // What was restored onto a machine may come from one where nobody else had it.
      addressBlock: taken.blocks.has(present.addressBlock)
        ? freeBlock(new Set([...taken.blocks, ...(await blocksInRules())]))
        : present.addressBlock,
      metricsPorts: await metricsPorts(config, apiPort, taken.ports, present.metricsPorts),
    });
    return isDeepStrictEqual(wanted, present) ? present : write(home, wanted);
  }
  const apiPort = config.apiPort ?? (await freePort(taken.ports, apiPortsOf(config.engine)));
  const installation: Installation = {
    id: randomBytes(4).toString('hex'),
    engine: config.engine,
    apiPort,
    metricsPorts: await metricsPorts(config, apiPort, taken.ports),
    addressBlock: freeBlock(new Set([...taken.blocks, ...(await blocksInRules())])),
    subscriptionId: randomUUID(),
    tenantId: randomUUID(),
    clientId: randomUUID(),
    createdAt: new Date().toISOString(),
  };
  return write(home, await withFiles(installation));
}

async function write(home: Home, installation: Installation): Promise<Installation> {
  const text = `${JSON.stringify(installation, null, 2)}\n`;
  await writeFile(`${home.installation}.new`, text, { mode: 0o600, flush: true });
  await rename(`${home.installation}.new`, home.installation);
  return installationSchema.parse(installation); // as it is read again: control begins anew where it is told something else
}

/**
 * Other ports for the API and for files, where something else listens on the present ones by now. Not where the operator has set it:
 * then the operator is told. To be asked only while control does not run.
 */
export async function leaveTakenPort(
  home: Home,
  installation: Installation,
  config: Config,
  taken: Taken,
): Promise<Installation> {
  const { filesPort } = installation;
  const mayServeFiles = filesPort === undefined || config.filesPort !== undefined || (await isFree(filesPort));
  const moved: Installation = mayServeFiles
    ? installation
    : {
        ...installation,
        filesPort: await freePort(new Set([...taken.ports, installation.apiPort]), {
          first: filesPort + 1,
          key: 'filesPort',
        }),
      };
  if (!taken.ports.has(installation.apiPort) && (await isFree(installation.apiPort)))
    return moved === installation ? installation : write(home, moved);
  if (config.apiPort !== undefined)
    throw new PoolhouseError(
      'HostNotReady',
      `Something else listens on 127.0.0.1:${config.apiPort}, which is 'apiPort' in ${home.config}. End it, or set another port.`,
    );
  return write(home, { ...moved, apiPort: await freePort(taken.ports, apiPortsOf(installation.engine)) });
}

/** Address blocks that rules of the kernel lead somewhere already. */
async function blocksInRules(): Promise<string[]> {
  const result = await runCommand('nft', ['list', 'ruleset'], { timeoutMs: 10_000 }).catch(() => undefined);
  const found = result?.stdout.matchAll(/127\.77\.(\d{1,3})\.\d{1,3}/g) ?? [];
  return [...found].map((match) => blockOf(Number(match[1])));
}

const blockOf = (number: number) => `127.77.${number}.0/24`;

function freeBlock(taken: ReadonlySet<string>): string {
  const start = randomBytes(1)[0] ?? 0;
  for (let step = 0; step < 256; step += 1) {
    const block = blockOf((start + step) % 256);
    if (!taken.has(block)) return block;
  }
  throw new PoolhouseError(
    'HostNotReady',
    'All address blocks of 127.77.0.0/16 are taken by other installations on this machine.',
  );
}

/**
 * Where the processes tell their health and metrics: as configured, else as before, else free ones. The search
 * begins somewhere, not at one number: without an engine there are no claims, and a neighbour may be down at the moment.
 */
async function metricsPorts(
  config: Config,
  apiPort: number,
  others: ReadonlySet<number>,
  before?: Installation['metricsPorts'],
): Promise<{ control: number; gateway: number }> {
  const taken = new Set(
    [...others, apiPort, ...Object.values(config.metricsPorts)].filter((port) => port !== undefined),
  );
  const choose = async (name: 'control' | 'gateway') => {
    const set = config.metricsPorts[name];
    if (set !== undefined) return set;
    const first = randomInt(18_000, 19_000);
    const kept = before?.[name];
    const port =
      kept !== undefined && !taken.has(kept) ? kept : await freePort(taken, { first, key: `metricsPorts.${name}` });
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

/** Where files are served: as configured, else as before, else a free one. */
async function filesPort(config: Config, installation: Installation, others: ReadonlySet<number>): Promise<number> {
  const { apiPort, metricsPorts, filesPort: before } = installation;
  const own = new Set([apiPort, ...Object.values(metricsPorts ?? {})]);
  if (config.filesPort !== undefined) {
    if (!own.has(config.filesPort)) return config.filesPort;
    throw new PoolhouseError(
      'InvalidConfiguration',
      `'filesPort' (${config.filesPort}) is another port of this installation already. Change config.json.`,
    );
  }
  const taken = new Set([...others, ...own]);
  if (before !== undefined && !taken.has(before)) return before;
  return freePort(taken, { first: randomInt(19_000, 20_000), key: 'filesPort' });
}

const ports = 200;

/**
 * Installations with an engine choose one after the other, and claim. Who simulates does neither: where it begins is chance, so that two
 * which begin at once, or one beside an installation that has not begun to listen yet, do not take the same.
 */
const apiPortsOf = (engine: Installation['engine']) => ({
  first: engine === 'sim' ? randomInt(17_000, 17_800) : 8_943,
  key: 'apiPort',
});

async function freePort(taken: ReadonlySet<number>, { first, key }: { first: number; key: string }): Promise<number> {
  for (let port = first; port < first + ports; port += 1) {
    if (!taken.has(port) && (await isFree(port))) return port;
  }
  throw new PoolhouseError(
    'HostNotReady',
    `No free port was found between ${first} and ${first + ports - 1} on 127.0.0.1. Set '${key}' in config.json.`,
  );
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
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
}
