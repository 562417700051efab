/**
 * An installation of a test's own: its own home, and so its own project, network, storage, addresses and ports. Image
 * files are kept between runs, for building one takes a minute and a half; everything else goes at the end.
 */
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { link, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readStatus } from '../../src/cli/status.ts';
import type { StatusDocument } from '../../src/control/status.ts';
import { homeAt } from '../../src/core/home.ts';
import { createArmClient, type ArmClient } from '../../src/host/arm-client.ts';
import { readInstallation } from '../../src/host/installations.ts';
import { putTinyFirstImage } from './tiny-first-image.ts';

export interface Result {
  exitCode: number;
  stdout: string;
  stderr: string;
}

export const repository = fileURLToPath(new URL('../..', import.meta.url));
export const imageCache = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'poolhouse-test-images');

/** Runs a program; never fails for an exit code. */
export function run(
  program: string,
  argv: readonly string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string; input?: string; timeoutMs?: number } = {},
): Promise<Result> {
  return new Promise((resolve) => {
    const child = execFile(
      program,
      argv,
      {
        env: options.env ?? process.env,
        cwd: options.cwd,
        timeout: options.timeoutMs ?? 120_000,
        maxBuffer: 64 * 2 ** 20,
      },
      (error, stdout, stderr) => {
        resolve({ exitCode: error === null ? 0 : typeof error.code === 'number' ? error.code : 1, stdout, stderr });
      },
    );
    child.stdin?.on('error', () => undefined); // a program that ended without reading says more by its exit code
    child.stdin?.end(options.input ?? '');
  });
}

/** Runs a program that has to succeed, and gives what it printed. */
export async function must(
  program: string,
  argv: readonly string[],
  options: Parameters<typeof run>[2] = {},
): Promise<string> {
  const result = await run(program, argv, options);
  if (result.exitCode !== 0)
    throw new Error(`${program} ${argv.join(' ')} ended with ${result.exitCode}:\n${result.stdout}\n${result.stderr}`);
  return result.stdout;
}

/** Those of the processes that run. One that nobody has waited for yet runs no more. */
export function running(pids: readonly number[]): number[] {
  return pids.filter((pid) => {
    try {
      return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
    } catch {
      return false;
    }
  });
}

/** Ends a process as `kill -9` does. A number that names none (0 is this test and all beside it) is refused. */
export function killHard(pid: number | null): void {
  if (pid === null || pid <= 1) throw new Error(`${String(pid)} is no process to be killed.`);
  process.kill(pid, 'SIGKILL');
}

/** Asks again until the answer is there; fails with what was last seen. */
export async function until<T>(what: string, look: () => Promise<T | undefined>, limitMs = 60_000): Promise<T> {
  const deadline = Date.now() + limitMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > deadline) throw new Error(`Waited ${limitMs / 1_000} s in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

export class TestInstallation {
  readonly home: string;
  readonly env: NodeJS.ProcessEnv;

  private constructor(home: string) {
    this.home = home;
    this.env = { ...process.env, POOLHOUSE_HOME: home };
  }

  /** Makes the home, with a configuration; nothing runs yet. */
  static async make(config: object): Promise<TestInstallation> {
    const home = await mkdtemp(join(tmpdir(), 'poolhouse-e2e-'));
    await writeFile(join(home, 'config.json'), JSON.stringify(config));
    await mkdir(join(home, 'images'), { mode: 0o700 });
    for (const name of await readdir(imageCache).catch(() => [])) {
      if (name.endsWith('.tar')) await link(join(imageCache, name), join(home, 'images', name)).catch(() => undefined);
    }
    return new TestInstallation(home);
  }

  poolhouse(...argv: string[]): Promise<Result> {
    return run(join(repository, 'bin', 'poolhouse'), argv, { env: this.env, timeoutMs: 900_000 });
  }

  async mustPoolhouse(...argv: string[]): Promise<string> {
    return must(join(repository, 'bin', 'poolhouse'), argv, { env: this.env, timeoutMs: 900_000 });
  }

  /**
   * The first `up` of tests that look at no notebook: a tiny image is in the place of the large one that it prepares, which takes
   * the engine half a minute to take in.
   */
  async up(): Promise<void> {
    const tiny = await putTinyFirstImage(this.home);
    await this.mustPoolhouse('up').finally(() => rm(tiny, { force: true }));
  }

  /** What `poolhouse status` shows, without a program for each question: tests ask it again and again. */
  status(): Promise<StatusDocument> {
    return readStatus(homeAt(this.home));
  }

  async pool(name: string): Promise<StatusDocument['pools'][number]> {
    const found = (await this.status()).pools.find((pool) => pool.name === name);
    if (found === undefined) throw new Error(`There is no pool '${name}'.`);
    return found;
  }

  /** The environment in which az speaks to this installation. */
  async az(profile: 'latest' | 'hybrid'): Promise<(...argv: string[]) => Promise<Result>> {
    const variables = JSON.parse(await this.mustPoolhouse('az-env', '--profile', profile, '--json')) as Record<
      string,
      string
    >;
    return (...argv) => run('az', argv, { env: { ...process.env, ...variables }, timeoutMs: 600_000 });
  }

  /** The ARM API without az, which takes a second for each request. */
  async arm(): Promise<ArmClient> {
    const home = homeAt(this.home);
    const installation = await readInstallation(home);
    if (installation === undefined) throw new Error(`There is no installation in ${this.home}.`);
    return createArmClient(home, installation, new AbortController().signal);
  }

  /** Removes everything; keeps image files for the next run. */
  async destroy(): Promise<void> {
    await mkdir(imageCache, { recursive: true });
    for (const name of await readdir(join(this.home, 'images')).catch(() => [])) {
      if (name.endsWith('.tar'))
        await link(join(this.home, 'images', name), join(imageCache, name)).catch(() => undefined);
    }
    const id = await this.id();
    const result = await this.poolhouse('down', '--destroy', '--yes');
    await rm(this.home, { recursive: true, force: true });
    if (result.exitCode !== 0) throw new Error(`down --destroy failed: ${result.stderr}`);
    if (id !== undefined) await expectNothingLeft(id);
  }

  /** Every port that this installation has on loopback: of the API, and those where processes tell of themselves. */
  async ports(): Promise<{ api: number; monitors: number[] }> {
    const installation = await readInstallation(homeAt(this.home));
    if (installation === undefined) throw new Error(`There is no installation in ${this.home}.`);
    return { api: installation.apiPort, monitors: Object.values(installation.metricsPorts ?? {}) };
  }

  async id(): Promise<string | undefined> {
    const text = await readFile(join(this.home, 'installation.json'), 'utf8').catch(() => undefined);
    return text === undefined ? undefined : (JSON.parse(text) as { id: string }).id;
  }
}

/** Fails when anything of an installation is left on the host. */
async function expectNothingLeft(id: string): Promise<void> {
  const tables = (await run('nft', ['list', 'tables'])).stdout;
  if (tables.includes(id)) throw new Error(`nftables still has a table of ${id}`);
  const socket = ['/var/lib/incus/unix.socket', '/var/lib/lxd/unix.socket'];
  for (const path of socket) {
    for (const list of ['projects', 'networks', 'storage-pools']) {
      const found = (await run('curl', ['-s', '--max-time', '10', '--unix-socket', path, `http://daemon/1.0/${list}`]))
        .stdout;
      if (found.includes(id)) throw new Error(`the engine still has ${list} of ${id}`);
    }
  }
}

/** Why a test of the real machine cannot run here; undefined where it can. */
export async function missingForSystemTests(programs: readonly string[]): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'it needs root';
  for (const program of programs) {
    if (
      (
        await run('sh', ['-c', `command -v ${program}`], {
          env: { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` },
        })
      ).exitCode !== 0
    )
      return `'${program}' is not installed`;
  }
  return undefined;
}

const quiet = [
  '-o',
  'StrictHostKeyChecking=no',
  '-o',
  'UserKnownHostsFile=/dev/null',
  '-o',
  'LogLevel=ERROR',
  '-o',
  'ConnectTimeout=15',
];

/** Stock ssh with a password, from a source address of this machine. */
export function sshArguments(
  user: string,
  address: string,
  command: string,
  options: readonly string[] = [],
): string[] {
  return [...quiet, ...options, `${user}@${address}`, command];
}

export function ssh(
  password: string,
  user: string,
  address: string,
  command: string,
  options: readonly string[] = [],
  input = '',
): Promise<Result> {
  return run('sshpass', ['-e', 'ssh', ...sshArguments(user, address, command, options)], {
    env: { ...process.env, SSHPASS: password },
    input,
  });
}
