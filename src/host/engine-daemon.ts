/**
 * Finds the engine's daemon on this host, or starts it: by systemd where there is systemd, else directly.
 *
 * The daemon is not ours alone. One that answers is used as it is; what we started directly is noted with its identity,
 * and only that is ever stopped, and only while the daemon holds nothing of anybody.
 */
import { execFile, spawn } from 'node:child_process';
import { constants } from 'node:os';
import { access, mkdir, open, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Logger } from 'pino';
import { z } from 'zod';
import { PoolhouseError } from '../core/errors.ts';
import { createRestClient } from '../engines/incus/rest-client.ts';
import { readNote, writeNote, type Note } from './engine-note.ts';
import { daemonPlaces, type DaemonCandidate, type DaemonPlaces } from './engine-places.ts';
import { findProgram, programPath } from './find-program.ts';
import { runCommand } from './run-command.ts';
import { identifyProcess, isAlive, type StartedProcess } from './started-process.ts';

export interface EngineDaemon {
  socketPath: string;
  kind: 'incus' | 'lxd';
  /** True when this call started it. */
  startedByUs: boolean;
}

export interface EngineDaemonOptions {
  logFolder: string;
  signal: AbortSignal;
  log?: Logger;
  places?: DaemonPlaces;
}

/** It looks after all networks and instances of the host before it answers. */
const startLimit = 120_000;
const stopLimit = 30_000;
const pollDelay = 200;
const answerLimit = 5_000;
const installHint = `'poolhouse up' as root installs it; by hand: apt-get install incus lxcfs btrfs-progs (on Debian 12 lxd in place of incus, on Ubuntu 22.04 snap install lxd)`;

/**
 * A daemon that answers. `HostNotReady` says which package is missing, or where the daemon tells why it did not start.
 * Not to be called twice at the same time on one host.
 */
export async function ensureEngineDaemon(options: EngineDaemonOptions): Promise<EngineDaemon> {
  const { signal, log, places = daemonPlaces } = options;
  for (const { socketPath, kind } of places.candidates) {
    if (await answers(socketPath, signal)) return { socketPath, kind, startedByUs: false };
  }
  if (await exists(places.systemdFolder)) return startBySystemd(places, signal, log);
  return startDirectly(options, places);
}

/**
 * Ends what `ensureEngineDaemon` started directly, and nothing else. Left alone, with the reason in `kept`: a daemon
 * that holds anything that somebody made (of any project, also others'), and one that somebody else started.
 */
export async function stopEngineDaemon(
  options: Omit<EngineDaemonOptions, 'logFolder'>,
): Promise<{ stopped: string[]; kept?: string }> {
  const { signal, log, places = daemonPlaces } = options;
  const note = await readNote(places.noteFile);
  const stopped: string[] = [];
  if (note.daemon !== undefined && (await isAlive(note.daemon))) {
    const socketPath = note.socketPath ?? '';
    const held = await holdings(socketPath, signal);
    if (held === undefined)
      return {
        stopped,
        kept: `${note.daemon.program} does not answer at ${socketPath}: whether it holds instances is unknown.`,
      };
    if (held.length > 0) return { stopped, kept: `${note.daemon.program} holds ${held.join(', ')}.` };
    // SIGPWR is the daemon's own shutdown: networks and storage are taken down with it. SIGTERM would leave them up.
    await end(note.daemon, constants.signals.SIGPWR, signal);
    await removeEmptyTables(note.daemon.program === 'lxd' ? 'lxd' : 'incus', signal);
    stopped.push(note.daemon.program);
    log?.info({ pid: note.daemon.pid }, 'the engine daemon was stopped');
  }
  // Others may have started a daemon since, which shows its instances our lxcfs.
  for (const { socketPath } of places.candidates) {
    if (await answers(socketPath, signal))
      return { stopped, kept: `A daemon that Poolhouse did not start answers at ${socketPath}.` };
  }
  if (note.lxcfs !== undefined && (await isAlive(note.lxcfs))) {
    await end(note.lxcfs, constants.signals.SIGTERM, signal);
    stopped.push(note.lxcfs.program);
  }
  await rm(places.noteFile, { force: true });
  return { stopped };
}

async function startBySystemd(
  places: DaemonPlaces,
  signal: AbortSignal,
  log: Logger | undefined,
): Promise<EngineDaemon> {
  const refusals: string[] = [];
  for (const { units, socketPath, kind } of places.candidates) {
    // Enabled too, so that instances are back after a reboot. Units that cannot be enabled may still be started.
    let refusal = await systemctl(['enable', '--now', ...units], signal);
    if (refusal !== undefined) refusal = await systemctl(['start', ...units], signal);
    if (refusal !== undefined) {
      refusals.push(refusal);
      continue;
    }
    log?.info({ units }, 'the engine daemon was started');
    await untilItAnswers(socketPath, signal, () => `See: journalctl -u ${units[0] ?? kind}`);
    return { socketPath, kind, startedByUs: true };
  }
  throw new PoolhouseError('HostNotReady', `This host has no Incus and no LXD that systemd can start. ${installHint}`, {
    cause: new Error(refusals.join('\n')),
  });
}

/** Why systemd refused; undefined when it did not. */
async function systemctl(argv: readonly string[], signal: AbortSignal): Promise<string | undefined> {
  try {
    await promisify(execFile)('systemctl', argv, { timeout: 60_000, signal });
    return undefined;
  } catch (error) {
    signal.throwIfAborted();
    return error instanceof Error ? error.message : String(error);
  }
}

async function startDirectly(options: EngineDaemonOptions, places: DaemonPlaces): Promise<EngineDaemon> {
  const { logFolder, signal, log } = options;
  const found = await firstInstalled(places.candidates);
  if (found === undefined)
    throw new PoolhouseError('HostNotReady', `This host has neither Incus nor LXD. ${installHint}`);
  const { candidate, program } = found;
  const { socketPath, kind } = candidate;
  await mkdir(logFolder, { recursive: true, mode: 0o700 });
  const note: Note = { socketPath };
  const before = await readNote(places.noteFile);
  if (before.lxcfs !== undefined && (await isAlive(before.lxcfs))) note.lxcfs = before.lxcfs;

  if (!(await serves(places.lxcfsFolder))) {
    // An lxcfs that was killed leaves its mount behind, on which nothing can be mounted and nothing read.
    if (await isMountOfFuse(places.lxcfsFolder))
      await promisify(execFile)('umount', ['--lazy', places.lxcfsFolder], { signal });
    const lxcfs = await findProgram('lxcfs');
    if (lxcfs === undefined)
      throw new PoolhouseError(
        'HostNotReady',
        `'lxcfs' is missing, by which instances see their own memory and CPUs. Install it: apt-get install lxcfs`,
      );
    await mkdir(places.lxcfsFolder, { recursive: true });
    const lxcfsStarted = await startDetached(lxcfs, [places.lxcfsFolder], join(logFolder, 'lxcfs.log'), {});
    note.lxcfs = lxcfsStarted.process;
    await writeNote(places.noteFile, note);
    await until(
      () => serves(places.lxcfsFolder),
      10_000,
      signal,
      () => !lxcfsStarted.ended(),
      () => `'lxcfs' did not start. See ${join(logFolder, 'lxcfs.log')}`,
    );
  }

  const output = join(logFolder, 'engine.out');
  const logFile = join(logFolder, 'engine.log');
  const daemon = await startDetached(
    program,
    [...(candidate.argv ?? []), `--logfile=${logFile}`],
    output,
    candidate.environment ?? {},
  );
  note.daemon = daemon.process;
  await writeNote(places.noteFile, note);
  log?.info({ program, pid: daemon.process.pid }, 'the engine daemon was started');
  await untilItAnswers(
    socketPath,
    signal,
    () => `See ${logFile} and ${output}`,
    () => !daemon.ended(),
  );
  return { socketPath, kind, startedByUs: true };
}

/** Starts a program in a session of its own, so that it outlives us and hears none of our terminal's signals. */
async function startDetached(
  program: string,
  argv: readonly string[],
  outputFile: string,
  environment: Readonly<Record<string, string>>,
): Promise<{ process: StartedProcess; ended(): boolean }> {
  const output = await open(outputFile, 'a', 0o600);
  try {
    const child = spawn(program, argv, {
      cwd: '/',
      detached: true,
      stdio: ['ignore', output.fd, output.fd],
      env: { PATH: programPath(), HOME: '/root', LANG: 'C.UTF-8', ...environment },
    });
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve);
      child.once('error', reject);
    });
    child.unref();
    const started = child.pid === undefined ? undefined : await identifyProcess(child.pid, program);
    if (started === undefined) throw new Error('it ended at once');
    return { process: started, ended: () => child.exitCode !== null || child.signalCode !== null };
  } catch (error) {
    throw new PoolhouseError('HostNotReady', `'${program}' could not be started. See ${outputFile}`, { cause: error });
  } finally {
    await output.close();
  }
}

async function end(started: StartedProcess, signalNumber: number, signal: AbortSignal): Promise<void> {
  process.kill(started.pid, signalNumber);
  await until(
    async () => !(await isAlive(started)),
    stopLimit,
    signal,
    () => true,
    () => `'${started.program}' (process ${started.pid}) did not end. Look at its log, then end it by hand.`,
  );
}

async function untilItAnswers(
  socketPath: string,
  signal: AbortSignal,
  hint: () => string,
  alive: () => boolean = () => true,
): Promise<void> {
  // It answers before it is ready: what its own `waitready` asks for tells the difference.
  const ready = async () => (await ask(socketPath, '/internal/ready', signal)) !== undefined;
  await until(
    ready,
    startLimit,
    signal,
    alive,
    () => `The engine's daemon was started, but does not answer at ${socketPath}. ${hint()}`,
  );
}

async function until(
  done: () => Promise<boolean>,
  limitMs: number,
  signal: AbortSignal,
  alive: () => boolean,
  otherwise: () => string,
): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await done())) {
    if (!alive() || performance.now() > deadline) throw new PoolhouseError('HostNotReady', otherwise());
    await sleep(pollDelay, undefined, { signal });
  }
}

async function answers(socketPath: string, signal: AbortSignal): Promise<boolean> {
  return (await ask(socketPath, '/1.0', signal)) !== undefined;
}

/** What the daemon holds beyond what it makes for itself, in words; undefined where it does not tell. */
async function holdings(socketPath: string, signal: AbortSignal): Promise<string[] | undefined> {
  const held: string[] = [];
  for (const { one, many, path, schema } of holdingKinds) {
    const found = schema.safeParse(await ask(socketPath, path, signal));
    if (!found.success) return undefined;
    if (found.data > 0) held.push(`${found.data} ${found.data === 1 ? one : many}`);
  }
  return held;
}

const countOf = z.array(z.unknown()).transform((list) => list.length);
const holdingKinds: readonly { one: string; many: string; path: string; schema: z.ZodType<number> }[] = [
  { one: 'instance', many: 'instances', path: '/1.0/instances?all-projects=true', schema: countOf },
  {
    one: 'project',
    many: 'projects',
    path: '/1.0/projects?recursion=1',
    schema: z
      .array(z.object({ name: z.string() }))
      .transform((list) => list.filter(({ name }) => name !== 'default').length),
  },
  { one: 'storage pool', many: 'storage pools', path: '/1.0/storage-pools', schema: countOf },
  {
    one: 'network',
    many: 'networks',
    path: '/1.0/networks?recursion=1',
    schema: z
      .array(z.object({ managed: z.boolean() }))
      .transform((list) => list.filter(({ managed }) => managed).length),
  },
];

/** The daemon takes its rules away when it ends, and leaves the tables. One that holds anything is not touched. */
async function removeEmptyTables(name: string, signal: AbortSignal): Promise<void> {
  for (const family of ['inet', 'ip', 'ip6', 'bridge']) {
    const { stdout } = await runCommand('nft', ['list', 'table', family, name], { signal }).catch(() => ({
      stdout: '',
    }));
    if (/^table \S+ \S+ \{\s*\}\s*$/.test(stdout))
      await runCommand('nft', ['delete', 'table', family, name], { signal });
  }
}

/** The daemon's answer; undefined when there is none, which is no failure here. */
async function ask(socketPath: string, path: string, signal: AbortSignal): Promise<unknown> {
  if (!(await exists(socketPath))) return undefined;
  const client = createRestClient(socketPath);
  try {
    return await client.get(path, AbortSignal.any([signal, AbortSignal.timeout(answerLimit)]));
  } catch {
    signal.throwIfAborted();
    return undefined;
  } finally {
    client.close();
  }
}

async function firstInstalled(
  candidates: readonly DaemonCandidate[],
): Promise<{ candidate: DaemonCandidate; program: string } | undefined> {
  for (const candidate of candidates) {
    const program = candidate.program === undefined ? undefined : await findProgram(candidate.program);
    if (program !== undefined) return { candidate, program };
  }
  return undefined;
}

async function isMountOfFuse(folder: string): Promise<boolean> {
  const mounts = await readFile('/proc/self/mountinfo', 'utf8');
  return mounts.split('\n').some((line) => line.split(' ')[4] === folder && line.includes(' - fuse'));
}

/** Whether a living lxcfs is mounted there. */
async function serves(lxcfsFolder: string): Promise<boolean> {
  return (await isMountOfFuse(lxcfsFolder)) && (await exists(join(lxcfsFolder, 'proc/meminfo')));
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
