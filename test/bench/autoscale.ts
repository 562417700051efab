import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseLenient } from '../../src/template/parse-lenient.ts';
import { generateTrace } from '../../src/simulate/generate-trace.ts';
import { readSetting } from '../../src/simulate/read-setting.ts';
import { measuredTimes } from '../../src/simulate/replay.ts';
import { simulate } from '../../src/simulate/simulate.ts';
import { repository } from '../e2e/installation.ts';
import type { Benchmark } from './benchmark.ts';

/** None of those that the setting was made with. */
const seeds = [11, 12, 13, 14, 15, 16, 17];
const minute = 60_000;

/**
 * Instance-hours of the setting that we recommend, over those of the best schedule that was found with hindsight and in which
 * nobody moves, on days of 200 people. A day on which less than 95 % get in within 5 s counts as missed, whatever it cost.
 * Beside it Azure's usual rules in the same replay.
 */
export const autoscaleHours: Benchmark = {
  name: 'autoscale.hours-vs-hindsight',
  unit: 'x',
  goal: { atMost: 1.2 },
  missing: () => Promise.resolve(undefined),
  async measure(say) {
    const file = join(repository, 'examples/autoscale/setting.json');
    const setting = readSetting(parseLenient(await readFile(file, 'utf8')).value);
    const rounds: number[] = [];
    const peers: Record<string, number[]> = {};
    const note = (name: string, value: number) => (peers[name] ??= []).push(value);
    for (const seed of seeds) {
      const { simulation } = await simulate(
        generateTrace({ people: 200, days: 1, seed }),
        setting,
        {
          placement: { prefer: 'most-users', usersPerInstance: 4 },
          standby: { count: 2, as: 'stopped' },
          // Nobody counts as idle: all stay as long as they do in hindsight.
          ...{ drainMilliseconds: 30 * minute, idleMilliseconds: 24 * 60 * minute, cpuPerPerson: 25, ...measuredTimes },
        },
        new AbortController().signal,
      );
      const { setting: own, usual, hindsight, hoursVsHindsight } = simulation;
      const isServed = own.waiting.share5s >= 0.95;
      rounds.push(isServed ? hoursVsHindsight.setting : Infinity);
      note('hours', own.instanceHours);
      note('within 5 s %', 100 * own.waiting.share5s);
      note('usual rules x', hoursVsHindsight.usual);
      note('usual rules hours', usual.instanceHours);
      note('usual rules within 5 s %', 100 * usual.waiting.share5s);
      note('hindsight hours', hindsight.packedHours);
      note('over the bound x', own.instanceHours / hindsight.boundHours);
      const best = `with hindsight ${hindsight.packedHours} h (bound ${hindsight.boundHours} h)`;
      const ours = `${own.instanceHours} h, ${(100 * own.waiting.share5s).toFixed(1)} % within 5 s, p95 ${own.waiting.p95} s`;
      const theirs = `${usual.instanceHours} h, ${(100 * usual.waiting.share5s).toFixed(1)} % within 5 s, p95 ${usual.waiting.p95} s`;
      say(`seed ${seed}: ${ours}; usual rules ${theirs}; ${best}`);
    }
    return { rounds, peers };
  },
};
