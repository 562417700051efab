/** What a client asks of metrics: which, from when to when, in which interval, taken together how. Pure. */
import { PoolhouseError } from '../../core/errors.ts';
import type { EpochMillis } from '../../core/time.ts';
import { grainStart } from '../../pool/fold-samples.ts';
import { aggregations, definitionOf, type Aggregation, type MetricDefinition } from './metric-definitions.ts';
import { readInterval, readTime } from './read-time.ts';

export interface MetricsQuery {
  metrics: readonly MetricDefinition[];
  from: EpochMillis;
  to: EpochMillis;
  interval: { name: string; milliseconds: number };
  /** As asked; undefined: each metric's own. */
  aggregations: readonly Aggregation[] | undefined;
  /** A series for each of these instances, by names as Azure's (`pool_0`) in lower case; `*`: for each. Undefined: one for all. */
  split: '*' | ReadonlySet<string> | undefined;
}

/** Azure's limit. */
const mostMetrics = 20;
const mostGrains = 10_000;
const hour = 3_600_000;
/** Nothing is kept for longer. */
const longestAgo = 93 * 24 * hour;

/**
 * Reads the parameters of a query; `parameter` gives the one of a name in lower case. Without a timespan it is the last hour.
 * `BadRequest` says what cannot be understood, and what could.
 */
export function readMetricsQuery(
  parameter: (name: string) => string | undefined,
  of: 'scale set' | 'instance',
  now: EpochMillis,
): MetricsQuery {
  const interval = readInterval(parameter('interval') ?? 'PT1M');
  const { from, to } = readTimespan(parameter('timespan'), now);
  const first = grainStart(Math.max(from, now - longestAgo), interval.milliseconds);
  if ((to - first) / interval.milliseconds > mostGrains)
    throw new PoolhouseError(
      'BadRequest',
      `From ${new Date(from).toISOString()} to ${new Date(to).toISOString()} there are more than ${mostGrains} intervals of ${interval.name}. Ask for a shorter time or in a longer interval.`,
    );
  const names = (parameter('metricnames') ?? 'Percentage CPU').split(',').filter((name) => name.trim() !== '');
  if (names.length === 0 || names.length > mostMetrics)
    throw new PoolhouseError('BadRequest', `From 1 to ${mostMetrics} metrics can be asked for at a time.`);
  return {
    metrics: names.map((name) => definitionOf(name, of)),
    ...{ from: first, to, interval },
    aggregations: readAggregations(parameter('aggregation')),
    split: readSplit(parameter('$filter')),
  };
}

function readTimespan(text: string | undefined, now: EpochMillis): { from: EpochMillis; to: EpochMillis } {
  if (text === undefined || text.trim() === '') return { from: now - hour, to: now };
  // az encodes it twice.
  const [start = '', end = '', ...more] = (text.includes('%') ? decoded(text) : text).split('/');
  const [from, to] = [readTime(start, 'The start of the timespan'), readTime(end, 'The end of the timespan')];
  if (more.length > 0 || to <= from)
    throw new PoolhouseError(
      'BadRequest',
      `The timespan '${text.slice(0, 80)}' is not START/END with START before END.`,
    );
  return { from, to };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // it is no time then, which is said
  }
}

function readAggregations(text: string | undefined): readonly Aggregation[] | undefined {
  const words = (text ?? '').split(',').flatMap((word) => (word.trim() === '' ? [] : [word.trim().toLowerCase()]));
  if (words.length === 0 || words.includes('none')) return undefined;
  return words.map((word) => {
    const found = aggregations.find((one) => one.toLowerCase() === word);
    if (found !== undefined) return found;
    throw new PoolhouseError(
      'BadRequest',
      `The aggregation '${word.slice(0, 40)}' is none of those that there are: ${aggregations.join(', ')}.`,
    );
  });
}

/** `VMName eq '*'`, or names joined by `or`: the one dimension that there is. */
function readSplit(filter: string | undefined): MetricsQuery['split'] {
  if (filter === undefined || filter.trim() === '') return undefined;
  const names = filter.split(/\s+or\s+/i).map((clause) => /^\s*VMName\s+eq\s+'([^']*)'\s*$/i.exec(clause)?.[1]);
  if (names.includes(undefined))
    throw new PoolhouseError(
      'BadRequest',
      `The filter '${filter.slice(0, 120)}' is not understood: VMName eq '*', or names joined by or, are.`,
    );
  return names.includes('*') ? '*' : new Set(names.map((name) => (name ?? '').toLowerCase()));
}
