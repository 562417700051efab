import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Json } from '../core/json.ts';
import { drawSimulation } from './draw-simulation.ts';
import { generateTrace } from './generate-trace.ts';
import { readSetting } from './read-setting.ts';
import { simulate } from './simulate.ts';
import { hoursOf } from './tally.ts';
import { bySeats, pool, session, setting } from './test-support.ts';

const { signal } = new AbortController();

describe('a dry run', () => {
  it('tells what a setting comes to, beside the usual rules and the best with hindsight', async () => {
    const sessions = [session('alice', 10, 70), session('bob', 20, 50), session('carol', 30, 60, 45)];
    const { simulation, replays } = await simulate(sessions, setting(bySeats, 1), pool, signal);
    expect(simulation).toMatchObject({ people: 3, sessions: 3, hindsight: { boundHours: 1.333, packedHours: 1.5 } });
    const { instanceHours, busyHours, waiting } = simulation.setting;
    expect(instanceHours).toBeCloseTo(hoursOf(replays.setting.timeline, 'running', simulation.to), 2);
    expect(busyHours).toBeLessThanOrEqual(instanceHours);
    expect(waiting).toEqual({ share5s: 1, p50: 0, p95: 0, max: 0 });
    expect(simulation.hoursVsHindsight.setting).toBeCloseTo(instanceHours / 1.5, 2);
    expect(simulation.usual.peak).toBeGreaterThan(0);
  });

  it('needs no more than a fifth above hindsight with the setting that we recommend, and nearly nobody waits', async () => {
    const file = join(import.meta.dirname, '../../examples/autoscale/setting.json');
    const recommended = readSetting(JSON.parse(readFileSync(file, 'utf8')) as Json);
    const options = { ...pool, placement: { prefer: 'most-users', usersPerInstance: 4 } } as const;
    const sessions = generateTrace({ people: 60, days: 1, seed: 99 });
    const standby = { count: 2, as: 'stopped' } as const;
    const idleMilliseconds = 120 * 60_000;
    const { simulation } = await simulate(sessions, recommended, { ...options, standby, idleMilliseconds }, signal);
    expect(simulation.hoursVsHindsight.setting).toBeLessThanOrEqual(1.2);
    expect(simulation.setting.waiting.share5s).toBeGreaterThanOrEqual(0.95);
    expect(simulation.setting.atRisk).toEqual([]);
  });

  it('is drawn with both axes, both settings, and nothing that is no number', async () => {
    const sessions = [session('alice', 10, 70), session('bob', 20, 50)];
    const svg = drawSimulation(await simulate(sessions, setting(bySeats), pool, signal));
    expect(svg).toMatch(/^<svg [^]*<\/svg>\n$/);
    for (const text of ['instances', 'time, UTC', 'this setting: ', 'usual CPU rules: ', 'needed at least: ', '09:00'])
      expect(svg).toContain(text);
    expect(svg).not.toMatch(/NaN|Infinity|undefined/);
  });
});
