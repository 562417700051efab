/** The Debian packages that a machine needs, for Debian and Ubuntu by their own names. */
import { readFile } from 'node:fs/promises';
import { PoolhouseError } from '../core/errors.ts';
import { runCommand } from './run-command.ts';

export interface Distribution {
  id: string;
  version: string;
  name: string;
}

export async function readDistribution(): Promise<Distribution> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const value = (name: string) => new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(text)?.[1] ?? '';
  return { id: value('ID'), version: value('VERSION_ID'), name: value('PRETTY_NAME') };
}

/** The packages for the `incus` engine. Pure. Incus where the distribution has it, LXD otherwise. */
export function enginePackages(distribution: Distribution): string[] {
  const common = [
    'mmdebstrap',
    'btrfs-progs',
    'nftables',
    'dnsmasq-base',
    'openssl',
    'iproute2',
    'uidmap',
    'lxcfs',
    'ca-certificates',
  ];
  const version = Number(distribution.version);
  if (distribution.id === 'debian' && version >= 13) return ['incus', ...common];
  if (distribution.id === 'debian' && version >= 12) return ['lxd', 'lxd-client', ...common];
  if (distribution.id === 'ubuntu' && version >= 24) return ['incus', ...common];
  // There LXD comes as a snap, which the package of that name brings.
  if (distribution.id === 'ubuntu' && version >= 22)
    return ['lxd-installer', ...common].filter((name) => name !== 'lxd-installer' || version >= 23.1);
  throw new PoolhouseError(
    'HostNotReady',
    `${distribution.name === '' ? 'This system' : distribution.name} is not supported: Debian 12 or later, or Ubuntu 22.04 or later, is needed. To only look around, without instances: poolhouse up --engine sim`,
  );
}

/** Those of the packages that are not installed. */
export async function missingPackages(packages: readonly string[]): Promise<string[]> {
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
