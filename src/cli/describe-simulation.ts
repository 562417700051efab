/** A dry run for people: a table that fits 80 columns, and the days as small curves. Pure. */
import type { EpochMillis } from '../core/time.ts';
import type { ReplaySummary, SimulationWithCurves } from '../simulate/simulate.ts';
import { table } from './table.ts';

const steps = '▁▂▃▄▅▆▇█';
const columns = 64;
const titleWidth = 14;

export function describeSimulation({ simulation, replays, hindsight }: SimulationWithCurves, pool: string): string {
  const { from, to, setting, usual, hoursVsHindsight } = simulation;
  const best = simulation.hindsight;
  const both = (title: string, of: (summary: ReplaySummary) => string, withHindsight = '') => [
    ...[title, of(setting), of(usual), withHindsight],
  ];
  const ratio = (value: number) => value.toFixed(2);
  const rows = [
    both('instance-hours', (one) => hours(one.instanceHours), hours(best.packedHours)),
    ['hours over hindsight', ratio(hoursVsHindsight.setting), ratio(hoursVsHindsight.usual), '1.00'],
    both('hours with people', (one) => hours(one.busyHours), hours(best.packedHours)),
    both('hours of frozen standby', (one) => hours(one.frozenHours)),
    both('hours of stopped standby', (one) => hours(one.stoppedHours)),
    both('most at a time', (one) => String(one.peak)),
    both('scaled out / in', ({ scaleActions }) => `${scaleActions.out} / ${scaleActions.in}`),
    both('waited less than 5 s', ({ waiting }) => `${(100 * waiting.share5s).toFixed(1)} %`, '100.0 %'),
    both('waited: half, 95 %', ({ waiting }) => `${seconds(waiting.p50)}, ${seconds(waiting.p95)}`),
    both('waited longest', ({ waiting }) => seconds(waiting.max)),
    both('idle sessions ended', (one) => people(one.ended), '0 people'),
    both('work at risk', (one) => people(one.atRisk), '0 people'),
  ];
  const curve = (title: string, valueAt: (moment: number) => number, top: number) =>
    `  ${title.padEnd(titleWidth)}${spark(valueAt, top)}`.trimEnd();
  const span = (to - from) / columns;
  const most = (points: readonly { at: EpochMillis; value: number }[]) => mostWithin(points, from, span);
  const of = (name: 'running' | 'waiting', replay = replays.setting) =>
    most(replay.timeline.map((moment) => ({ at: moment.at, value: moment[name] })));
  const needed = most(hindsight.timeline.map(({ at, instances }) => ({ at, value: instances })));
  const top = Math.max(1, setting.peak, usual.peak);
  const waiting = of('waiting');
  const mostWaiting = Math.max(...Array.from({ length: columns }, (_, column) => waiting(column)));
  return `${[
    `${simulation.people} people with ${simulation.sessions} sessions, ${moment(from)} to ${moment(to)} UTC`,
    pool,
    '',
    ...table(['', 'this setting', `Azure's usual`, 'with hindsight'], rows),
    '',
    `Instances over time (the highest step is ${top}):`,
    curve('this setting', of('running'), top),
    curve('usual rules', of('running', replays.usual), top),
    curve('needed', needed, top),
    `People who wait (at most ${mostWaiting}):`,
    curve('this setting', waiting, Math.max(1, mostWaiting)),
    `  ${''.padEnd(titleWidth)}${timesBelow(from, to)}`,
    '',
    `With hindsight: instances that come and go with people, who stay where they are.`,
    `Could people be moved at any time, ${hours(best.boundHours)} instance-hours would do.`,
    `Usual rules: CPU above 75 %: one more; below 25 %: one less; then five minutes.`,
  ].join('\n')}\n`;
}

const hours = (value: number) => value.toFixed(1);
const seconds = (value: number) => `${value.toFixed(1)} s`;
const people = (names: readonly string[]) => (names.length === 1 ? '1 person' : `${names.length} people`);
const moment = (at: EpochMillis) => new Date(at).toISOString().slice(0, 16).replace('T', ' ');

function spark(valueAt: (column: number) => number, top: number): string {
  return Array.from({ length: columns }, (_, column) => {
    const value = valueAt(column);
    return value === 0 ? ' ' : (steps[Math.min(steps.length, Math.ceil((value / top) * steps.length)) - 1] ?? ' ');
  }).join('');
}

/** The highest value in each column's span of time, of a curve that stays as it is between its points. */
function mostWithin(
  points: readonly { at: EpochMillis; value: number }[],
  from: EpochMillis,
  span: number,
): (column: number) => number {
  return (column) => {
    const [begin, end] = [from + column * span, from + (column + 1) * span];
    const before = points.findLast(({ at }) => at <= begin)?.value ?? 0;
    return points.reduce((top, { at, value }) => (at > begin && at < end ? Math.max(top, value) : top), before);
  };
}

/** Hours, or days where there are many, at their places. */
function timesBelow(from: EpochMillis, to: EpochMillis): string {
  const isLong = to - from > 2 * 86_400_000;
  const every = 8;
  let line = '';
  for (let column = 0; column < columns; column += every) {
    const at = new Date(from + ((to - from) * column) / columns).toISOString();
    line += (isLong ? at.slice(5, 10) : at.slice(11, 16)).padEnd(every);
  }
  return line.trimEnd();
}
