/**
 * Measures the pools, and keeps what was measured. Every ten seconds one call to the engine for all instances, and a look at who
 * is where; the running minute is kept in memory, and written into the store once it is over, all of it in one transaction.
 *
 * A control that begins anew goes on from the store: the minute that was in memory is lost, and the rates begin with the second
 * look. Samples of a minute are kept for a day, of an hour for 90 days: what is older than a day has grains of whole hours.
 */
import type { EpochMillis } from '../core/time.ts';
import { foldIntoGrains, grainStart, grainStarts, joinSamples, sampleOf } from '../pool/fold-samples.ts';
import type { Session } from '../link/people.ts';
import { isIdle } from '../pool/idle.ts';
import { measurePeople } from '../pool/measure-people.ts';
import { measureUsage, type UsageReading } from '../pool/measure-usage.ts';
import { sessionMetrics, type MetricName, type MetricSample, type SessionMetricName } from '../pool/metrics.ts';
import { sizeOf } from '../providers/compute/sizes.ts';
import { findInstances, findSizeNames } from '../store/instance-records.ts';
import {
  findSamples,
  forgetOldSamples,
  forgetSamplesBut,
  hoursKeptFor,
  keptGrains,
  minutesKeptFor,
  saveMinute,
  type MeasuredSample,
} from '../store/metric-samples.ts';
import { findResources } from '../store/resource-records.ts';
import type { MetricReader } from './metric-reader.ts';
import type { Placements } from './placements.ts';
import type { World } from './world.ts';

const { minute, hour } = keptGrains;
const measureEvery = 10_000;
/** Where the store cannot be written, so many minutes wait for it in memory. */
const mostMinutes = 30;

export interface MetricSeriesParts {
  world: Pick<World, 'store' | 'engine' | 'reports' | 'clock' | 'log'>;
  placements: Pick<Placements, 'pool' | 'waiting' | 'usersOn'>;
}

export interface MetricSeries extends MetricReader {
  /** Measures, when it is time to. */
  pass(signal: AbortSignal): Promise<number>;
}

export function createMetricSeries({ world, placements }: MetricSeriesParts): MetricSeries {
  const { store, engine, reports, clock, log } = world;
  /** What is not in the store yet, by the minute's beginning, and then by series and instance. */
  const minutes = new Map<EpochMillis, Map<string, MeasuredSample>>();
  let readings = new Map<string, UsageReading>();
  let nextAt = 0;

  /** Looked through once for each report, however many pools ask. */
  let indexed: { sessions: readonly Session[]; byPool: Map<string, Session[]> } = { sessions: [], byPool: new Map() };
  function sessionsIn(pool: string): readonly Session[] {
    const sessions = reports.sessions();
    if (indexed.sessions !== sessions) indexed = { sessions, byPool: Map.groupBy(sessions, (one) => one.pool) };
    return indexed.byPool.get(pool) ?? [];
  }

  function note(at: EpochMillis, scaleSetKey: string, metric: MetricName, instance: string, value: number): void {
    const start = grainStart(at, minute);
    const samples = minutes.get(start) ?? new Map<string, MeasuredSample>();
    minutes.set(start, samples);
    const key = `${scaleSetKey}\n${metric}\n${instance}`;
    const earlier = samples.get(key)?.sample;
    const sample = sampleOf(instance, value);
    samples.set(key, {
      ...{ scaleSetKey, metric },
      sample: earlier === undefined ? sample : joinSamples(earlier, sample),
    });
  }

  async function measureInstances(living: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
    const found = await engine.metrics(signal);
    const at = clock.now();
    const owners = new Map((await findInstances(store.db)).map(({ name, scaleSetKey }) => [name, scaleSetKey]));
    const sizes = await findSizeNames(store.db);
    const cpus = new Map<string, number>();
    const cpusOf = (size: string) => {
      const known = cpus.get(size) ?? sizeOf(size).cpus;
      cpus.set(size, known);
      return known;
    };
    const before = readings;
    readings = new Map();
    for (const { name, ...usage } of found) {
      const [owner, size] = [owners.get(name), sizes.get(name)];
      if (owner === undefined || size === undefined || !living.has(owner)) continue;
      const reading = { at, ...usage };
      readings.set(name, reading);
      for (const [metric, value] of Object.entries(measureUsage(before.get(name), reading, cpusOf(size))))
        note(at, owner, metric as MetricName, name, value); // the keys are names of metrics
    }
  }

  function current(scaleSetKey: string, metric: MetricName): ReadonlyMap<string, number> | undefined {
    const pool = placements.pool(scaleSetKey);
    if (pool === undefined || !isOfPeople(metric)) return undefined;
    // Who waits is known at once; who is there only when the gateways have said so.
    if (metric !== 'Waiting Users' && !reports.isComplete(clock.now())) return undefined;
    const connected = new Map<string, Set<string>>();
    const sessions = new Map<string, number>();
    for (const { instance, user, activeAt } of sessionsIn(scaleSetKey)) {
      // An idle session is open, and nobody needs a machine for it.
      if (isIdle(activeAt ?? clock.now(), clock.now(), pool.idleMilliseconds)) continue;
      connected.set(instance, (connected.get(instance) ?? new Set()).add(user));
      sessions.set(instance, (sessions.get(instance) ?? 0) + 1);
    }
    return measurePeople(
      {
        instances: pool.instances.map(({ instance, reachable, inRotation }) => ({
          ...{ instance, reachable, inRotation },
          sessions: (sessions.get(instance) ?? 0) + reports.strangersOn(instance),
          connected: connected.get(instance) ?? new Set(),
          bound: placements.usersOn(instance),
        })),
        waiting: placements.waiting(scaleSetKey),
        usersPerInstance: pool.policy.usersPerInstance,
      },
      metric,
    );
  }

  /** Writes the minutes that are over. */
  async function write(living: ReadonlySet<string>): Promise<void> {
    const now = clock.now();
    const over = [...minutes].filter(([start]) => start + minute <= now).toSorted(([one], [other]) => one - other);
    if (over.length === 0) return;
    for (const [start] of over.slice(0, -mostMinutes)) minutes.delete(start);
    await store
      .transaction(async (tx) => {
        await forgetSamplesBut(tx, living, now);
        for (const [start, samples] of over.slice(-mostMinutes)) await saveMinute(tx, start, [...samples.values()]);
        await forgetOldSamples(tx, now);
        // Here, where nobody can read between: a minute is in memory or in the store, never in both.
        for (const [start] of over) minutes.delete(start);
      })
      .catch((error: unknown) => {
        for (const [start, samples] of over.slice(-mostMinutes)) minutes.set(start, samples);
        throw error;
      });
  }

  return {
    async pass(signal) {
      // Every change wakes all loops, and none of them makes ten seconds pass.
      const begun = clock.now();
      if (begun < nextAt && nextAt - begun <= measureEvery) return nextAt - begun;
      nextAt = begun + measureEvery;
      const sets = await findResources(store.db, { type: 'Microsoft.Compute/virtualMachineScaleSets' });
      const living = new Set<string>(sets.map(({ key }) => key));
      for (const samples of minutes.values())
        for (const [name, { scaleSetKey }] of samples) if (!living.has(scaleSetKey)) samples.delete(name);
      await measureInstances(living, signal).catch((error: unknown) => {
        if (signal.aborted) throw error;
        // A gap is what happened; people are measured all the same.
        log.warn({ err: error }, 'what the instances use could not be measured');
      });
      const at = clock.now();
      for (const { key } of sets)
        for (const metric of sessionMetrics)
          for (const [instance, value] of current(key, metric) ?? []) note(at, key, metric, instance, value);
      await write(living);
      return measureEvery;
    },

    async read(scaleSetKey, metric, from, to, grainMilliseconds) {
      const starts = grainStarts(from, Math.min(to, clock.now() + 1), grainMilliseconds);
      const [first, last] = [starts[0], starts.at(-1)];
      if (first === undefined || last === undefined) return [];
      const kept = grainMilliseconds % hour === 0 ? hour : minute;
      const oldest = clock.now() - (kept === hour ? hoursKeptFor : minutesKeptFor) - kept;
      const keptStarts = grainStarts(
        Math.max(first, oldest),
        Math.min(last + grainMilliseconds, clock.now() + 1),
        kept,
      );
      const { stored, running } = await store.transaction(async (tx) => ({
        stored: await findSamples(tx, scaleSetKey, metric, kept, keptStarts),
        running: inMemory(scaleSetKey, metric),
      }));
      return foldIntoGrains([...stored, ...running], starts, grainMilliseconds);
    },
    current,
  };

  function inMemory(scaleSetKey: string, metric: MetricName): { start: EpochMillis; sample: MetricSample }[] {
    return [...minutes]
      .toSorted(([one], [other]) => one - other)
      .flatMap(([start, samples]) =>
        [...samples.values()]
          .filter((one) => one.scaleSetKey === scaleSetKey && one.metric === metric)
          .map(({ sample }) => ({ start, sample })),
      );
  }
}

const isOfPeople = (metric: MetricName): metric is SessionMetricName =>
  (sessionMetrics as readonly MetricName[]).includes(metric);
