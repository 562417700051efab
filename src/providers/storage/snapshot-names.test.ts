import { describe, expect, it } from 'vitest';
import {
  findSnapshot,
  nextSnapshotTime,
  parseSnapshotName,
  parseSnapshotTime,
  snapshotName,
  snapshotTime,
  type SnapshotKind,
} from './snapshot-names.ts';

const six = Date.UTC(2026, 10, 26, 18);

describe('names of snapshots', () => {
  it.each<[SnapshotKind, number, string]>([
    ['hand', six, '2026-11-26T18-00-00Z'],
    ['hand', six + 123, '2026-11-26T18-00-00.123Z'],
    ['schedule', six, 'auto-2026-11-26T18-00-00Z'],
    ['restore', six + 1_000, 'before-restore-2026-11-26T18-00-01Z'],
  ])('of %s at %d is %s, both ways', (kind, takenAt, name) => {
    expect(snapshotName({ kind, takenAt })).toBe(name);
    expect(parseSnapshotName(name)).toEqual({ kind, takenAt });
  });

  it.each(['', 'backup-2026-11-26T18-00-00Z', '2026-11-26', '2026-13-26T18-00-00Z', '2026-11-26T18-00-00.000Z', '../x'])(
    '%j is none of ours',
    (name) => {
      expect(parseSnapshotName(name)).toBeUndefined();
    },
  );

  it('are times to clients', () => {
    expect(snapshotTime(six + 5)).toBe('2026-11-26T18:00:00.0050000Z');
    expect(parseSnapshotTime('2026-11-26T18:00:00.0050000Z')).toBe(six + 5);
    expect(parseSnapshotTime('2026-11-26T18:00:00Z')).toBe(six);
    expect(parseSnapshotTime('yesterday')).toBeUndefined();
    const names = [{ name: 'backup-x' }, { name: 'auto-2026-11-26T18-00-00Z' }];
    expect(findSnapshot(names, '2026-11-26T18:00:00.0000000Z')).toMatchObject({ name: 'auto-2026-11-26T18-00-00Z' });
    expect(findSnapshot(names, '2026-11-26T18:00:01.0000000Z')).toBeUndefined();
    expect(findSnapshot(names, 'never')).toBeUndefined();
  });

  it('are never given twice', () => {
    expect(nextSnapshotTime(['auto-2026-11-26T18-00-00Z', '2026-11-26T18-00-00.001Z'], six)).toBe(six + 2);
    expect(nextSnapshotTime([], six)).toBe(six);
  });
});
