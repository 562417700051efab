/**
 * Replays a trace against an autoscale setting, in simulated time on the simulated engine. What decides is what decides in
 * production: `decideAutoscale`, `decideWake`, `place` and `plan`; only what is around them is made here.
 *
 * Nothing waits for a loop's next round where a loop is woken at once in production; rules about people are looked at a second
 * after something has changed, as there, and all rules by the minute. Instances that are made at the same time do not slow
 * each other down.
 */
import type { EpochMillis } from '../core/time.ts';
import { createSimEngine } from '../engines/sim/sim-engine.ts';
import { chooseProfile } from '../pool/autoscale/choose-profile.ts';
import { decideAutoscale, type AutoscaleSnapshot } from '../pool/autoscale/decide-autoscale.ts';
import { isSessionMetric, type RuleReading } from '../pool/autoscale/evaluate-rule.ts';
import type { AutoscaleSetting, ScaleRule } from '../pool/autoscale/setting.ts';
import type { StandbyPower } from '../pool/instance-state.ts';
import { measurePeople, type PeopleSnapshot } from '../pool/measure-people.ts';
import type { MetricName, SessionMetricName } from '../pool/metrics.ts';
import { plan } from '../pool/plan.ts';
import type { PlacementPolicy } from '../pool/placement.ts';
import { decideWake } from '../pool/wake.ts';
import { createCrowd, type Visit } from './crowd.ts';
import { createMachines, type Machine } from './machines.ts';
import { createMetricRecord } from './metric-record.ts';
import { isCounted, peopleOf, scaleSetOf, seatOf, wakeInstanceOf } from './pool-view.ts';
import { createSimulatedClock } from './simulated-clock.ts';
import { createTally, type Tally, type Life } from './tally.ts';
import type { TraceSession } from './trace.ts';

export interface ReplayOptions {
  placement: PlacementPolicy;
  standby: { count: number; as: StandbyPower };
  drainMilliseconds: number;
  /** A person who has not worked for so long is idle. */
  idleMilliseconds: number;
  /** How long making an instance takes, starting it, and having one run again that was frozen. */
  createMs: number;
  startMs: number;
  thawMs: number;
  /** What one person who works uses of their instance's CPU, in percent. */
  cpuPerPerson: number;
}

/** Times as they were measured on two cores: 4.4 s for a new instance, 1.15 s for a stopped one, 0.14 s for a frozen one. */
export const measuredTimes = { createMs: 3_250, startMs: 1_150, thawMs: 140 } as const;

export interface Replay {
  from: EpochMillis;
  to: EpochMillis;
  timeline: Tally['timeline'];
  lives: readonly Life[];
  visits: readonly Visit[];
  /** How long each had to wait who came, in milliseconds. */
  waits: readonly number[];
  scaleActions: { out: number; in: number };
  ended: ReadonlySet<string>;
  atRisk: ReadonlySet<string>;
}

const second = 1_000;
const minute = 60 * second;
const hour = 60 * minute;
/** As control measures. */
const measureEvery = 10 * second;
/** As control looks at rules about people. */
const promptDelay = second;
/** An instance that has run for so long has been measured. */
const measuredAfter = 2 * minute;
/** When something may be over for an instance that drains, after its beginning and after its end: see `pool/plan-instance.ts`. */
const [drainAtLeast, goodbye] = [500, 3 * second];

/** The whole hours that a trace lies in. */
function rangeOf(sessions: readonly TraceSession[]): { from: EpochMillis; to: EpochMillis } {
  const from = Math.floor(sessions.reduce((first, { start }) => Math.min(first, start), Infinity) / hour) * hour;
  const to = sessions.reduce((last, { end }) => Math.max(last, end), from);
  return { from, to: Math.ceil(to / hour) * hour };
}

/** @throws the signal's reason when it aborts */
export async function replay(
  sessions: readonly TraceSession[],
  setting: AutoscaleSetting,
  options: ReplayOptions,
  signal: AbortSignal,
): Promise<Replay> {
  const { from, to } = rangeOf(sessions);
  const clock = createSimulatedClock(from);
  const engine = createSimEngine({ clock, ...options });
  const record = createMetricRecord(setting);
  const failures: unknown[] = [];

  let capacity = chooseProfile(setting, from)?.capacity.minimum ?? 0;
  let lastScale: AutoscaleSnapshot['lastScale'];
  let wokenAt: EpochMillis | undefined;
  const scaleActions = { out: 0, in: 0 };

  const machines = createMachines({
    ...{ clock, engine },
    onDraining: (name) => {
      crowd.noteDraining(name);
    },
    onRemoval: (name) => {
      crowd.endAll(name);
    },
    onChange: changed,
    onError: (error) => failures.push(error),
  });
  const crowd = createCrowd({
    ...{ clock, sessions, policy: options.placement, idleMilliseconds: options.idleMilliseconds },
    seats: () => machines.all().filter(isCounted).map(seatOf),
    onChange: changed,
  });
  const tally = createTally(from);

  const planSoon = once(passOfPlan);
  const scaleSoon = once(passOfAutoscale);
  const profileAt = byMinute((now) => chooseProfile(setting, now));
  const hasPeopleRules = [...record.metrics].some(isSessionMetric);

  function changed(): void {
    planSoon(clock.now());
    if (hasPeopleRules) scaleSoon(clock.now() + promptDelay);
  }

  /** Asks for a pass at a time, unless one is asked for by then. */
  function once(pass: () => Promise<void>): (time: EpochMillis) => void {
    let asked = Infinity;
    return (time) => {
      if (asked <= time) return;
      asked = time;
      clock.at(time, () => {
        if (asked !== time) return; // another came before
        asked = Infinity;
        pass().catch((error: unknown) => failures.push(error));
      });
    };
  }

  const asked = () => ({ capacity, drainMilliseconds: options.drainMilliseconds, ...options.standby });

  async function passOfPlan(): Promise<void> {
    const now = clock.now();
    await machines.look(signal);
    crowd.serve();
    wake(now);
    const all = machines.all();
    for (const step of plan(scaleSetOf(all, crowd, asked()), now)) machines.carryOut(step, signal);
    const times = all.flatMap(({ state: { draining } }) => {
      const { since, until = Infinity } = draining ?? { since: Infinity };
      return [since + drainAtLeast, until, until + goodbye].filter((time) => time > now);
    });
    const next = Math.min(...times);
    if (next < Infinity) planSoon(next);
    note(now);
  }

  function note(now: EpochMillis): void {
    const all = machines.all();
    tally.note(now, all, {
      ...{ asked: capacity, waiting: crowd.waiting(), connected: crowd.connected() },
      inRotation: all.filter((machine) => seatOf(machine).inRotation).length,
      busy: all.filter(({ name }) => crowd.usersOn(name) > 0).length,
    });
  }

  /** As control's loop of people does. */
  function wake(now: EpochMillis): void {
    const counted = machines.all().filter(isCounted);
    if (crowd.waiting() === 0 || counted.some((machine) => seatOf(machine).inRotation)) return;
    const decision = decideWake({
      ...{ capacity, switchedOff: false, mayWake: true },
      instances: counted.map(wakeInstanceOf),
    });
    if (decision.wake !== 'raise') return;
    capacity = decision.capacity;
    wokenAt = now;
  }

  async function passOfAutoscale(): Promise<void> {
    const now = clock.now();
    const profile = profileAt(now);
    if (profile === undefined) return;
    await machines.look(signal);
    const counted = machines.all().filter(isCounted);
    const staying = counted.filter(({ state }) => state.removal === undefined && state.draining === undefined);
    const people = peopleOf(counted, crowd, options.placement.usersPerInstance);
    const decision = decideAutoscale(
      {
        ...{ profile, capacity, lastScale, wokenAt, waiting: crowd.waiting() },
        readings: profile.rules.map((rule) => readingOf(rule, people, now)),
        measurable: counted.some(
          ({ power, state }) => power === 'running' && now - (state.provisionedAt ?? now) >= measuredAfter,
        ),
        inRotation: staying.some((machine) => seatOf(machine).inRotation),
        activeInstances: staying.filter(({ name }) => crowd.activeOn(name) > 0).length,
        seatsPerInstance: options.placement.usersPerInstance,
      },
      now,
    );
    if (decision.decision === 'cool down') scaleSoon(decision.until);
    if (decision.decision !== 'scale') return;
    capacity = decision.to;
    wokenAt = undefined;
    scaleActions[decision.direction] += 1;
    if (decision.because === 'rules') lastScale = { at: now, cooldownMilliseconds: decision.cooldownMilliseconds };
    changed();
  }

  function readingOf({ trigger, action }: ScaleRule, people: PeopleSnapshot, now: EpochMillis): RuleReading {
    const current = isOfPeople(trigger.metric) ? measurePeople(people, trigger.metric) : undefined;
    // As control reads: the present moment is all that such a rule looks at.
    if (current !== undefined && action.direction === 'Increase') return { grains: [], current };
    return { grains: record.read({ trigger, action }, now), current };
  }

  function measure(): void {
    const now = clock.now();
    const counted = machines.all().filter(isCounted);
    const people = peopleOf(counted, crowd, options.placement.usersPerInstance);
    for (const metric of record.metrics) {
      const values = isOfPeople(metric) ? measurePeople(people, metric) : usageOf(metric, counted);
      if (values !== undefined) record.note(metric, values, now);
    }
  }

  /** Of what instances use, CPU alone is simulated. */
  function usageOf(metric: MetricName, counted: readonly Machine[]): ReadonlyMap<string, number> | undefined {
    if (metric !== 'Percentage CPU') return undefined;
    const running = counted.filter(({ power }) => power === 'running');
    return new Map(
      running.map(({ name }) => [name, Math.min(100, options.cpuPerPerson * crowd.workingOn(name))] as const),
    );
  }

  every(measureEvery, measure);
  every(minute, () => {
    scaleSoon(clock.now());
  });
  planSoon(from);

  function every(milliseconds: number, what: () => void): void {
    what();
    clock.at(clock.now() + milliseconds, () => {
      every(milliseconds, what);
    });
  }

  await clock.runUntil(to, signal);
  if (failures.length > 0) throw failures[0];
  note(to);
  return {
    ...{
      from,
      to,
      timeline: tally.timeline,
      lives: tally.lives(to),
      visits: crowd.visits,
      waits: crowd.waits(),
      scaleActions,
    },
    ...{ ended: crowd.ended, atRisk: crowd.atRisk },
  };
}

/** Asked once for each minute: clocks and calendars of time zones are slow to read, and profiles begin on the minute. */
function byMinute<Value>(ask: (now: EpochMillis) => Value): (now: EpochMillis) => Value {
  let known: { minute: number; value: Value } | undefined;
  return (now) => {
    const asked = Math.floor(now / minute);
    if (known?.minute !== asked) known = { minute: asked, value: ask(now) };
    return known.value;
  };
}

const isOfPeople = (metric: MetricName): metric is SessionMetricName => isSessionMetric(metric);
