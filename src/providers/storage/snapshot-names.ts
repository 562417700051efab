/**
 * How a snapshot is called, to clients and in `.snapshots`: Azure knows it by its time, people see it by a name with that time in it.
 * The name says who had it taken, so that nothing else has to remember it. Pure.
 */
import type { EpochMillis } from '../../core/time.ts';

/** `hand`: somebody asked for it. `schedule`: the account's schedule. `restore`: how a share was before it was restored. */
export type SnapshotKind = 'hand' | 'schedule' | 'restore';

export interface SnapshotLabel {
  kind: SnapshotKind;
  takenAt: EpochMillis;
}

const prefixes: Readonly<Record<SnapshotKind, string>> = { hand: '', schedule: 'auto-', restore: 'before-restore-' };
const pattern = /^(auto-|before-restore-|)(\d{4}-\d{2}-\d{2})T(\d{2})-(\d{2})-(\d{2})(?:\.(\d{3}))?Z$/;

/** `2026-11-26T18-00-00Z`, `auto-2026-11-26T18-00-00Z`; milliseconds only where there are some. */
export function snapshotName({ kind, takenAt }: SnapshotLabel): string {
  const time = new Date(takenAt).toISOString().replaceAll(':', '-').replace('.000Z', 'Z');
  return `${prefixes[kind]}${time}`;
}

/** The inverse; undefined for a name that is none of ours. */
export function parseSnapshotName(name: string): SnapshotLabel | undefined {
  const [, prefix, day = '', hours = '', minutes = '', seconds = '', milliseconds = '000'] = pattern.exec(name) ?? [];
  if (prefix === undefined) return undefined;
  const takenAt = Date.parse(`${day}T${hours}:${minutes}:${seconds}.${milliseconds}Z`);
  const kind = (['hand', 'schedule', 'restore'] as const).find((one) => prefixes[one] === prefix);
  return kind === undefined || Number.isNaN(takenAt) || snapshotName({ kind, takenAt }) !== name
    ? undefined
    : { kind, takenAt };
}

/** As Azure writes it: `2026-11-26T18:00:00.0000000Z`. */
export function snapshotTime(takenAt: EpochMillis): string {
  return new Date(takenAt).toISOString().replace('Z', '0000Z');
}

/** The inverse; undefined for what is no time of a snapshot. */
export function parseSnapshotTime(text: string): EpochMillis | undefined {
  if (!/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,7})?Z$/.test(text)) return undefined;
  const time = Date.parse(text.replace(/(\.\d{3})\d+Z$/, '$1Z'));
  return Number.isNaN(time) ? undefined : time;
}

/** Of these names, the snapshot that a client knows by this time. */
export function findSnapshot<S extends { name: string }>(
  snapshots: readonly S[],
  time: string,
): (S & SnapshotLabel) | undefined {
  const takenAt = parseSnapshotTime(time);
  for (const snapshot of snapshots) {
    const label = parseSnapshotName(snapshot.name);
    if (label !== undefined && label.takenAt === takenAt) return { ...snapshot, ...label };
  }
  return undefined;
}

/** A time for a new one: now, or as much later as it must be to be nobody else's. */
export function nextSnapshotTime(names: readonly string[], now: EpochMillis): EpochMillis {
  const taken = new Set(names.flatMap((name) => parseSnapshotName(name)?.takenAt ?? []));
  let time = now;
  while (taken.has(time)) time += 1;
  return time;
}
