/** The schedule of a storage account's snapshots: its tag `poolhouse-snapshots`. */
import { dig, type JsonObject } from '../../core/json.ts';
import { describeSchedule, parseSchedule, usualSchedule, type SnapshotSchedule } from '../../pool/plan-snapshots.ts';
import { invalid } from '../read-body.ts';

const tag = 'poolhouse-snapshots';

/** What the account's document says. `InvalidParameter` where that is no schedule. */
export function readSnapshotTag(document: JsonObject): SnapshotSchedule {
  const value = dig(document, 'tags', tag);
  if (value === undefined || value === null) return usualSchedule;
  const schedule = typeof value === 'string' ? parseSchedule(value) : undefined;
  if (schedule !== undefined) return schedule;
  throw invalid(
    `tags.${tag}`,
    `The value ${JSON.stringify(value)} of the tag '${tag}' is not valid: 'off', or how many are kept of hourly, daily, weekly and monthly snapshots (150 together at most) is expected, such as '${describeSchedule(usualSchedule)}'.`,
  );
}
