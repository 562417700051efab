/**
 * What was measured, as control keeps it: samples of a minute for a day, and of an hour for 90 days. Rows lie in the order of
 * time, so that a minute of a thousand instances is written, and an old one forgotten, in one place; who reads names the
 * times that it wants, for all of them are known.
 */
import { sql } from 'kysely';
import type { EpochMillis } from '../core/time.ts';
import { grainStart, grainStarts } from '../pool/fold-samples.ts';
import type { MetricSample } from '../pool/metrics.ts';
import type { Queries } from './store.ts';

const minute = 60_000;
const hour = 3_600_000;
export const minutesKeptFor = 24 * hour;
export const hoursKeptFor = 90 * 24 * hour;
/** So many of the times that are asked for go into one query: SQLite takes 32,766 parameters. */
const startsAtOnce = 5_000;

/** The length of the spans that samples are kept of. */
export type KeptGrain = typeof minute | typeof hour;
export const keptGrains = { minute, hour } as const;

export interface MeasuredSample {
  scaleSetKey: string;
  metric: string;
  sample: MetricSample;
}

/**
 * Writes what was measured in a minute; its hour learns of it too. A minute that is there already stays as it is: it comes twice
 * only where the clock was set back, and its hour holds it once.
 */
export async function saveMinute(tx: Queries, start: EpochMillis, measured: readonly MeasuredSample[]): Promise<void> {
  const isThere = await tx
    .selectFrom('metric_samples')
    .select('start')
    .where('grain', '=', minute)
    .where('start', '=', start)
    .limit(1)
    .executeTakeFirst();
  if (isThere !== undefined) return;
  const series = await seriesOf(tx, measured);
  const rows = measured.map(({ scaleSetKey, metric, sample }) => [
    series.get(seriesName(scaleSetKey, metric)) ?? 0,
    ...[sample.instance, sample.count, sample.sum, sample.minimum, sample.maximum, sample.last],
  ]);
  // As one value: a statement with a place for each of thousands takes longer to put together than to run. (In its binary form
  // JSON is taken apart in a third of the time.)
  await sql`
    INSERT INTO metric_samples (grain, start, series, instance, count, sum, minimum, maximum, last)
    SELECT ${minute}, ${start}, value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6
    FROM jsonb_each(${JSON.stringify(rows)})`.execute(tx);
  await sql`
    INSERT INTO metric_samples (grain, start, series, instance, count, sum, minimum, maximum, last)
    SELECT ${hour}, ${grainStart(start, hour)}, series, instance, count, sum, minimum, maximum, last
    FROM metric_samples WHERE grain = ${minute} AND start = ${start}
    ON CONFLICT (grain, start, series, instance) DO UPDATE SET
      count = count + excluded.count, sum = sum + excluded.sum, minimum = MIN(minimum, excluded.minimum),
      maximum = MAX(maximum, excluded.maximum), last = excluded.last`.execute(tx);
}

const seriesName = (scaleSetKey: string, metric: string) => `${scaleSetKey}\n${metric}`;

/** The numbers of all series that are measured; new ones get one. */
async function seriesOf(tx: Queries, measured: readonly MeasuredSample[]): Promise<Map<string, number>> {
  const wanted = new Map(
    measured.map(({ scaleSetKey, metric }) => [
      seriesName(scaleSetKey, metric),
      { scale_set_key: scaleSetKey, metric },
    ]),
  );
  const rows = await tx.selectFrom('metric_series').selectAll().execute();
  const known = new Map(rows.map((row) => [seriesName(row.scale_set_key, row.metric), row.id]));
  for (const [name, row] of wanted) {
    if (known.has(name)) continue;
    const { id } = await tx.insertInto('metric_series').values(row).returning('id').executeTakeFirstOrThrow();
    known.set(name, id);
  }
  return known;
}

/** The samples of a metric that begin at any of `starts`, by time. */
export async function findSamples(
  queries: Queries,
  scaleSetKey: string,
  metric: string,
  grain: KeptGrain,
  starts: readonly EpochMillis[],
): Promise<{ start: EpochMillis; sample: MetricSample }[]> {
  const series = await queries
    .selectFrom('metric_series')
    .select('id')
    .where('scale_set_key', '=', scaleSetKey)
    .where('metric', '=', metric)
    .executeTakeFirst();
  if (series === undefined) return [];
  const found: { start: EpochMillis; sample: MetricSample }[] = [];
  for (let first = 0; first < starts.length; first += startsAtOnce) {
    const rows = await queries
      .selectFrom('metric_samples')
      .select(['start', 'instance', 'count', 'sum', 'minimum', 'maximum', 'last'])
      .where('grain', '=', grain)
      .where('start', 'in', starts.slice(first, first + startsAtOnce))
      .where('series', '=', series.id)
      .orderBy('start')
      .execute();
    for (const { start, ...sample } of rows) found.push({ start, sample });
  }
  return found;
}

/** How long samples of each grain are kept. */
const retention = [
  [minute, minutesKeptFor],
  [hour, hoursKeptFor],
] as const;

/** Forgets what has been kept long enough. */
export async function forgetOldSamples(tx: Queries, now: EpochMillis): Promise<void> {
  for (const [grain, keptFor] of retention)
    await tx
      .deleteFrom('metric_samples')
      .where('grain', '=', grain)
      .where('start', '<', now - keptFor)
      .execute();
}

/** Forgets all of scale sets that are no more: one of the same name later begins with nothing. */
export async function forgetSamplesBut(tx: Queries, living: ReadonlySet<string>, now: EpochMillis): Promise<void> {
  const gone = (await tx.selectFrom('metric_series').selectAll().execute()).filter(
    (row) => !living.has(row.scale_set_key),
  );
  if (gone.length === 0) return;
  const ids = gone.map(({ id }) => id);
  for (const [grain, keptFor] of retention)
    // By the times at which rows can be: only so does SQLite find them without looking at all of them.
    await tx
      .deleteFrom('metric_samples')
      .where('grain', '=', grain)
      .where('start', 'in', grainStarts(now - keptFor - 2 * grain, now + grain, grain))
      .where('series', 'in', ids)
      .execute();
  await tx.deleteFrom('metric_series').where('id', 'in', ids).execute();
}
