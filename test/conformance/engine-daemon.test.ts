/** The daemon's start and stop, with a second LXD in a folder of its own: the host's own daemon is not touched. */
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { pino } from 'pino';
import { ensureEngineDaemon, stopEngineDaemon } from '../../src/host/engine-daemon.ts';
import type { DaemonPlaces } from '../../src/host/engine-places.ts';
import { keepEngineDaemon } from '../../src/host/keep-engine-daemon.ts';
import { tryLock } from '../../src/host/lock.ts';
import { killHard } from '../e2e/installation.ts';

const possible = process.getuid?.() === 0 && existsSync('/usr/bin/lxd') && existsSync('/var/lib/lxcfs/proc');

describe.skipIf(!possible)('the engine daemon (needs root, LXD and a running lxcfs)', { timeout: 90_000 }, () => {
  const { signal } = new AbortController();
  let folder: string;
  let places: DaemonPlaces;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-daemon-'));
    const environment = { LXD_DIR: join(folder, 'lxd') };
    places = {
      candidates: [
        {
          kind: 'lxd',
          socketPath: join(folder, 'lxd/unix.socket'),
          units: [],
          program: 'lxd',
          argv: ['--group', 'lxd'],
          environment,
        },
      ],
      systemdFolder: join(folder, 'no-systemd'),
      noteFile: join(folder, 'note'),
      lxcfsFolder: '/var/lib/lxcfs',
    };
  });
  afterEach(async () => {
    await stopEngineDaemon({ signal, places });
    await rm(folder, { recursive: true });
  });

  async function notedPid(): Promise<number> {
    const { daemon } = JSON.parse(await readFile(places.noteFile, 'utf8')) as { daemon: { pid: number } }; // our own note
    return daemon.pid;
  }

  it('is started once, used when it answers, and stopped with nothing left', async () => {
    const options = { logFolder: join(folder, 'log'), signal, places };
    const { socketPath } = places.candidates[0] ?? { socketPath: '' };
    expect(await ensureEngineDaemon(options)).toEqual({ kind: 'lxd', socketPath, startedByUs: true });
    expect(await ensureEngineDaemon(options)).toEqual({ kind: 'lxd', socketPath, startedByUs: false });
    const pid = await notedPid();
    expect(await stopEngineDaemon({ signal, places })).toEqual({ stopped: ['lxd'] });
    expect(existsSync(`/proc/${pid}`)).toBe(false);
    expect(await stopEngineDaemon({ signal, places })).toEqual({ stopped: [] });
  });

  it('is started again when it was killed, unless somebody is just about to start or end it', async () => {
    const options = { logFolder: join(folder, 'log'), signal, places };
    const lockFile = join(folder, 'lock');
    const keep = () => keepEngineDaemon({ ...options, lockFile, log: pino({ enabled: false }) });
    expect(await keep()).toBe(false); // nobody had started one
    await ensureEngineDaemon(options);
    expect(await keep()).toBe(false);
    const pid = await notedPid();
    killHard(pid);
    await vi.waitUntil(() => !existsSync(`/proc/${pid}`), { timeout: 20_000 });
    const lock = await tryLock(lockFile);
    expect(await keep()).toBe(false);
    lock?.close();
    expect(await keep()).toBe(true);
    expect(await notedPid()).not.toBe(pid);
    expect(await stopEngineDaemon({ signal, places })).toEqual({ stopped: ['lxd'] });
    expect(await keep()).toBe(false); // ended on purpose
  });

  it('leaves a process alone that only has the number of ours', async () => {
    const note = { daemon: { pid: process.pid, startTime: '1', bootId: 'another', program: 'node' } };
    await writeFile(places.noteFile, JSON.stringify(note));
    expect(await stopEngineDaemon({ signal, places })).toEqual({ stopped: [] });
  });

  it('says what to install where there is no daemon', async () => {
    const none: DaemonPlaces = {
      ...places,
      candidates: [{ kind: 'lxd', socketPath: join(folder, 'x'), units: [], program: 'no-such-daemon' }],
    };
    await expect(ensureEngineDaemon({ logFolder: folder, signal, places: none })).rejects.toMatchObject({
      code: 'HostNotReady',
      message: expect.stringContaining('apt-get install') as unknown,
    });
  });
});
