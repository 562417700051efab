import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findProcess, stopProcess } from '../core/processes.ts';
import { nextStart, readLives, supervise, writePrograms } from './supervisor.ts';

describe('nextStart', () => {
  it.each([
    ['one that never ran starts at once', undefined, 100, { at: 100, failures: 0 }],
    ['one that lived long starts at once', { startedAt: 0, failures: 4 }, 60_000, { at: 60_000, failures: 1 }],
    ['one that ended soon starts at once the first time', { startedAt: 0, failures: 0 }, 100, { at: 100, failures: 1 }],
    ['the second time it waits', { startedAt: 0, failures: 1 }, 100, { at: 600, failures: 2 }],
    ['and at most a quarter of a minute', { startedAt: 0, failures: 99 }, 100, { at: 15_100, failures: 100 }],
  ])('%s', (_case, life, endedAt, expected) => {
    expect(nextStart(life, endedAt)).toEqual(expected);
  });
});

describe('supervise', () => {
  let folder: string;
  const file = (name: string) => join(folder, name);
  const program = (script: string) => ({
    name: 'it',
    argv: ['/bin/sh', '-c', script],
    env: { PATH: '/usr/bin:/bin' },
    pidFile: file('pid'),
    logFile: file('log'),
    mark: '1',
  });
  async function until<T>(look: () => Promise<T | undefined>): Promise<T> {
    for (;;) {
      const found = await look();
      if (found !== undefined) return found;
      await sleep(20);
    }
  }
  const begin = () => {
    const stopping = new AbortController();
    const ended = supervise(
      { programs: file('programs'), lives: file('lives') },
      pino({ level: 'silent' }),
      stopping.signal,
    );
    return async () => {
      stopping.abort();
      await ended;
    };
  };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-supervisor-'));
  });
  afterEach(async () => {
    await stopProcess(file('pid'), 1_000);
    await rm(folder, { recursive: true });
  });

  it('starts again what was killed, and leaves it running when it ends itself', async () => {
    await writePrograms(file('programs'), [program('sleep 1000')]);
    const end = begin();
    const first = await until(() => findProcess(file('pid')));
    process.kill(first.pid, 'SIGKILL');
    const second = await until(async () => {
      const found = await findProcess(file('pid'));
      return found?.pid === first.pid ? undefined : found;
    });
    await end();
    expect(await findProcess(file('pid'))).toEqual(second);
    // The next supervisor takes over what runs.
    const endAgain = begin();
    await sleep(600);
    await endAgain();
    expect(await findProcess(file('pid'))).toEqual(second);
  });

  it('counts the starts of one that keeps ending', async () => {
    await writePrograms(file('programs'), [program('echo here; exit 1')]);
    const end = begin();
    await until(async () => ((await readLives(file('lives')))['it']?.failures ?? 0) >= 2 || undefined);
    await end();
    expect((await readFile(file('log'), 'utf8')).trim().split('\n').length).toBeGreaterThanOrEqual(2);
  });

  it('ends when there is nothing to run any more, and leaves what runs', async () => {
    await writePrograms(file('programs'), [program('sleep 1000')]);
    const ended = supervise(
      { programs: file('programs'), lives: file('lives') },
      pino({ level: 'silent' }),
      new AbortController().signal,
    );
    const running = await until(() => findProcess(file('pid')));
    await rm(file('programs'));
    await ended;
    expect(await findProcess(file('pid'))).toEqual(running);
  });
});
