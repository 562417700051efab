/** The Debian packages that a machine needs, for Debian and Ubuntu by their own names. */
import { access, readFile } from 'node:fs/promises';
import { PoolhouseError } from '../core/errors.ts';
import { findProgram } from './find-program.ts';
import { runCommand } from './run-command.ts';

const snapChannel = '5.21/stable';

export interface Distribution {
  id: string;
  version: string;
  name: string;
}

export async function readDistribution(): Promise<Distribution> {
  return parseDistribution(await readFile('/etc/os-release', 'utf8').catch(() => ''));
}

/** From the text of `/etc/os-release`. Pure. */
export function parseDistribution(text: string): Distribution {
  const value = (name: string) => new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(text)?.[1] ?? '';
  return { id: value('ID'), version: value('VERSION_ID'), name: value('PRETTY_NAME') };
}

/** What is on the machine already. */
export interface PresentTools {
  /** A daemon that is installed, from wherever: it is used, and no other one is added. */
  engine: 'incus' | 'lxd-snap' | undefined;
  /** Snaps can be installed. */
  snap: boolean;
}

/** What the `incus` engine needs, by the way it is installed. */
export interface EngineSetup {
  packages: string[];
  /** Arguments of `snap install`, for each snap. */
  snaps: string[][];
}

export async function presentTools(): Promise<PresentTools> {
  const engine =
    (await findProgram('incusd')) !== undefined
      ? 'incus'
      : (await readable('/var/snap/lxd/common/lxd/unix.socket'))
        ? 'lxd-snap'
        : undefined;
  return { engine, snap: (await findProgram('snap')) !== undefined };
}

/**
 * How this distribution comes to an engine. Pure.
 *
 * | distribution | engine |
 * |---|---|
 * | Debian 13 and later, Ubuntu 24.04 and later | the package `incus` (Ubuntu: in universe) |
 * | Debian 12 | the packages `lxd` and `lxd-client` |
 * | Ubuntu 22.04 | the snap `lxd`, which brings its own lxcfs, dnsmasq and uidmap; it has no package |
 *
 * `HostNotReady` for every other one, and where Ubuntu 22.04 cannot install snaps.
 */
export function engineSetup(distribution: Distribution, present: PresentTools): EngineSetup {
  const common = ['mmdebstrap', 'btrfs-progs', 'nftables', 'openssl', 'iproute2', 'ca-certificates'];
  const ofPackagedEngine = ['dnsmasq-base', 'uidmap', 'lxcfs', ...common];
  const way = engineOf(distribution);
  if (present.engine === 'incus') return { packages: ofPackagedEngine, snaps: [] };
  if (present.engine === 'lxd-snap') return { packages: common, snaps: [] };
  switch (way) {
    case 'incus':
      return { packages: ['incus', ...ofPackagedEngine], snaps: [] };
    case 'lxd':
      return { packages: ['lxd', 'lxd-client', ...ofPackagedEngine], snaps: [] };
    case 'lxd-snap':
      if (!present.snap)
        throw new PoolhouseError(
          'HostNotReady',
          `${distribution.name} has LXD as a snap only, and 'snap' is missing. Install it (apt-get install snapd; snap install lxd --channel=${snapChannel}), or upgrade to Ubuntu 24.04, which has Incus as a package.`,
        );
      return { packages: common, snaps: [['lxd', `--channel=${snapChannel}`]] };
  }
}

function engineOf({ id, version, name }: Distribution): 'incus' | 'lxd' | 'lxd-snap' {
  // Debian's testing and unstable have no number.
  const number = version === '' ? Number.POSITIVE_INFINITY : Number(version);
  if (id === 'debian' && number >= 13) return 'incus';
  if (id === 'debian' && number >= 12) return 'lxd';
  if (id === 'ubuntu' && number >= 24.04) return 'incus';
  if (id === 'ubuntu' && number >= 22.04) return 'lxd-snap';
  throw new PoolhouseError(
    'HostNotReady',
    `${name === '' ? 'This system' : name} is not supported: Debian 12 or later, or Ubuntu 22.04 or later, is needed. To only look around, without instances: poolhouse up --engine sim`,
  );
}

/** The packages alone. Pure. */
export function enginePackages(distribution: Distribution): string[] {
  return engineSetup(distribution, { engine: undefined, snap: true }).packages;
}

/** Those of the packages that are not installed. */
export async function missingPackages(packages: readonly string[]): Promise<string[]> {
  if (packages.length === 0) return [];
  const { stdout } = await runCommand('dpkg-query', ['-W', '-f', '${Package} ${db:Status-Status}\n', ...packages], {
    timeoutMs: 30_000,
  });
  const installed = new Set(
    stdout.split('\n').flatMap((line) => (line.endsWith(' installed') ? [line.split(' ')[0] ?? ''] : [])),
  );
  return packages.filter((name) => !installed.has(name));
}

/** Installs what is missing. `HostNotReady` names the packages and the command to try. */
export async function installPackages(
  packages: readonly string[],
  phase: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  const missing = await missingPackages(packages);
  if (missing.length === 0) return;
  const byHand = `apt-get install --no-install-recommends ${missing.join(' ')}`;
  if (process.getuid?.() !== 0)
    throw new PoolhouseError('HostNotReady', `Packages are missing: ${missing.join(', ')}. As root: ${byHand}`);
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', LC_ALL: 'C.UTF-8' };
  const apt = async (argv: readonly string[]) =>
    runCommand('apt-get', ['-o', 'DPkg::Lock::Timeout=300', '-y', ...argv], {
      env,
      signal,
      timeoutMs: 20 * 60_000,
      onOutput: (line) => {
        const match = /^(Get:\d+|Unpacking|Setting up|Selecting previously unselected package) ?(.*)$/.exec(line);
        if (match !== null) phase(`${match[1] ?? ''} ${match[2] ?? ''}`.slice(0, 60));
      },
    });
  phase('reading package lists');
  await apt(['update']);
  const result = await apt(['install', '--no-install-recommends', ...missing]);
  if (result.exitCode !== 0) {
    const lines = result.stderr.trim().split('\n').slice(-6).join('\n');
    throw new PoolhouseError(
      'HostNotReady',
      `The packages ${missing.join(', ')} could not be installed:\n${lines}\nTry it by hand: ${byHand}`,
    );
  }
}

/** Installs the snaps that are missing. `HostNotReady` says which command to try. */
export async function installSnaps(
  snaps: readonly (readonly string[])[],
  phase: (text: string) => void,
  signal: AbortSignal,
): Promise<void> {
  for (const argv of snaps) {
    const [name = ''] = argv;
    if ((await runCommand('snap', ['list', name], { signal })).exitCode === 0) continue;
    phase(name);
    const result = await runCommand('snap', ['install', ...argv], { signal, timeoutMs: 20 * 60_000 });
    if (result.exitCode !== 0)
      throw new PoolhouseError(
        'HostNotReady',
        `The snap '${name}' could not be installed: ${result.stderr.trim().split('\n').slice(-3).join(' ')}\nTry it by hand: snap install ${argv.join(' ')}`,
      );
  }
}

async function readable(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
