import { join } from 'node:path';
import { must, repository } from '../e2e/installation.ts';
import type { Benchmark } from './benchmark.ts';
import { planWorld, type PlanWorld } from './plan-world.ts';

const rounds = 3;
const passes = 200;

/** One whole decision pass over 10,000 instances in 100 scale sets with 50,000 sessions: plan, autoscale, a placement in each. */
export const planTime: Benchmark = {
  name: 'plan.10k.p99.ms',
  unit: 'ms',
  goal: { atMost: 100 },
  missing: () => Promise.resolve(undefined),
  measure() {
    const world = planWorld(100, 100);
    timed(world, 20); // the first ones compile
    const series = Array.from({ length: rounds }, () => timed(world, passes));
    return Promise.resolve({
      rounds: series.map((times) => quantile(times, 0.99)),
      peers: { 'median ms': series.map((times) => quantile(times, 0.5)) },
    });
  },
};

/** What control holds in memory of the same, decisions included. */
export const planMemory: Benchmark = {
  name: 'plan.10k.rss.mb',
  unit: 'MB',
  goal: { atMost: 1_000 },
  missing: () => Promise.resolve(undefined),
  async measure() {
    const figures: number[] = [];
    for (let round = 0; round < rounds; round += 1) {
      const said = await must(process.execPath, [join(repository, 'test/bench/plan-holder.ts')]);
      figures.push((JSON.parse(said) as { megabytes: number }).megabytes);
    }
    return { rounds: figures };
  },
};

/** How much more ten times the instances cost than ten times as much: the same number of sets, each ten times as large. */
export const planGrowth: Benchmark = {
  name: 'plan.growth',
  unit: 'x',
  goal: { atMost: 1.3 },
  missing: () => Promise.resolve(undefined),
  measure() {
    const [small, large] = [planWorld(100, 10), planWorld(100, 100)];
    const growth: number[] = [];
    const peers = { '1,000 ms': [] as number[], '10,000 ms': [] as number[] };
    for (const world of [small, large]) timed(world, 50);
    for (let round = 0; round < rounds; round += 1) {
      const ratios: number[] = [];
      const [few, many]: [number[], number[]] = [[], []];
      for (let pass = 0; pass < passes; pass += 1) {
        // As many instances in both, one right after the other: what else the machine does slows both.
        const tenSmall = timed(small, 10).reduce((sum, time) => sum + time, 0);
        const [oneLarge = NaN] = timed(large, 1);
        ratios.push(oneLarge / tenSmall);
        few.push(tenSmall / 10);
        many.push(oneLarge);
      }
      growth.push(quantile(ratios, 0.5));
      peers['1,000 ms'].push(quantile(few, 0.5));
      peers['10,000 ms'].push(quantile(many, 0.5));
    }
    return Promise.resolve({ rounds: growth, peers });
  },
};

/** Milliseconds of each pass. */
function timed(world: PlanWorld, count: number): number[] {
  return Array.from({ length: count }, () => {
    const begun = performance.now();
    if (world.pass() === 0) throw new Error('nothing was decided');
    return performance.now() - begun;
  });
}

const quantile = (values: readonly number[], part: number): number =>
  values.toSorted((a, b) => a - b)[Math.ceil(part * values.length) - 1] ?? NaN;
