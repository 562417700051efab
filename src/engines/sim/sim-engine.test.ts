import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Clock } from '../../core/time.ts';
import type { InstanceSpec } from '../engine.ts';
import { createSimEngine } from './sim-engine.ts';

const { signal } = new AbortController();
const clock: Clock = { now: () => 0, sleep: () => Promise.resolve() };
const spec: InstanceSpec = {
  name: 'one',
  hostname: 'one',
  image: { fingerprint: 'a' },
  cpus: 1,
  memoryBytes: 1,
  address: '10.255.0.9',
  labels: { pool: 'team' },
};

describe('the simulated engine', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'poolhouse-sim-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it('fails as it was told, once for each time, and changes nothing by it', async () => {
    const engine = createSimEngine({ clock });
    engine.failNext('create', new Error('first'));
    engine.failNext('create', new Error('second'));
    await expect(engine.create(spec, signal)).rejects.toThrow('first');
    await expect(engine.create(spec, signal)).rejects.toThrow('second');
    expect(await engine.list(signal)).toEqual([]);
    await engine.create(spec, signal);
    expect(await engine.list(signal)).toHaveLength(1);
  });

  it('loses and stops instances from outside', async () => {
    const engine = createSimEngine({ clock });
    await engine.create(spec, signal);
    await engine.setPower('one', 'running', signal);
    engine.stopFromOutside('one');
    expect(await engine.list(signal)).toMatchObject([{ power: 'stopped' }]);
    engine.vanish('one');
    expect(await engine.list(signal)).toEqual([]);
  });

  it('gives back copies that nobody can change it by', async () => {
    const engine = createSimEngine({ clock });
    await engine.create(spec, signal);
    const [found] = await engine.list(signal);
    Object.assign(found?.labels ?? {}, { pool: 'stolen' });
    expect(await engine.list(signal)).toMatchObject([{ labels: { pool: 'team' } }]);
  });

  it('shows what was written', async () => {
    const engine = createSimEngine({ clock });
    await engine.create(spec, signal);
    await engine.writeFile('one', { path: '/etc/x', content: Buffer.from('y'), mode: 0o600, uid: 1, gid: 2 }, signal);
    expect(engine.filesOf('one').get('/etc/x')).toEqual({ content: 'y', mode: 0o600, uid: 1, gid: 2 });
  });

  it('takes its time by the clock, and stops when it is told to', async () => {
    const waits: number[] = [];
    const counting: Clock = { now: () => 0, sleep: (ms) => Promise.resolve(void waits.push(ms)) };
    const engine = createSimEngine({ clock: counting, createMs: 40, startMs: 7, thawMs: 2 });
    await engine.create(spec, signal);
    await engine.setPower('one', 'running', signal);
    await engine.setPower('one', 'frozen', signal);
    expect(waits).toEqual([40, 7]);
    await engine.setPower('one', 'running', signal);
    await engine.setPower('one', 'running', signal);
    expect(waits).toEqual([40, 7, 2]);
  });

  it('keeps instances and shares in its file, whole', async () => {
    const stateFile = join(folder, 'deep', 'sim.json');
    const engine = createSimEngine({ clock, stateFile });
    await engine.ensureShare({ account: 'a', share: 's', quotaBytes: 5 }, signal);
    await engine.create(spec, signal);
    await engine.setPower('one', 'frozen', signal);
    const again = createSimEngine({ clock, stateFile });
    expect(await again.list(signal)).toEqual(await engine.list(signal));
    expect(await again.listShares(signal)).toEqual(await engine.listShares(signal));
    expect(readdirSync(join(folder, 'deep'))).toEqual(['sim.json']);
  });

  it('refuses a file that is not its own, instead of beginning with nothing', () => {
    const stateFile = join(folder, 'sim.json');
    writeFileSync(stateFile, '{"instances": 3}');
    expect(() => createSimEngine({ clock, stateFile })).toThrow(expect.objectContaining({ code: 'HostNotReady' }));
  });

  it('uses nothing, or what it was told', async () => {
    const engine = createSimEngine({ clock });
    await engine.create({ ...spec, memoryBytes: 100 }, signal);
    await engine.setPower('one', 'running', signal);
    const nothing = {
      cpuSeconds: 0,
      memoryBytes: 0,
      networkInBytes: 0,
      networkOutBytes: 0,
      diskReadBytes: 0,
      diskWriteBytes: 0,
    };
    expect(await engine.metrics(signal)).toEqual([{ ...nothing, name: 'one', memoryLimitBytes: 100 }]);
    engine.setUsage('one', { cpuSeconds: 3 });
    engine.setUsage('one', { memoryBytes: 50 });
    expect(await engine.metrics(signal)).toMatchObject([{ cpuSeconds: 3, memoryBytes: 50, memoryLimitBytes: 100 }]);
    expect(() => {
      engine.setUsage('other', {});
    }).toThrow(expect.objectContaining({ code: 'InstanceNotFound' }));
  });
});
