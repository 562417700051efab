import { describe, expect, it } from 'vitest';
import type { ShareDetails } from '../control/share-desk.ts';
import { describeShare, describeShares, describeSnapshots } from './shares.ts';

const share: ShareDetails = {
  ...{ name: 'team/shared', id: '/x', quotaBytes: 10 * 2 ** 30, usedBytes: 9 * 2 ** 30, percentUsed: 90 },
  ...{ snapshotBytes: 2 ** 20, snapshots: 1, schedule: 'hourly=24,daily=7' },
  workspaces: [
    { folder: 'notebooks/alice', usedBytes: 1, quotaBytes: 2 ** 30 },
    { folder: 'notebooks/bob', usedBytes: 2 ** 30, quotaBytes: null },
  ],
  snapshotList: [{ name: 'auto-2026-11-26T18-00-00Z', time: '2026-11-26T18:00:00.0000000Z', takenBy: 'schedule' }],
  restores: [
    {
      ...{
        id: '1',
        share: 'team/shared',
        path: '',
        snapshot: 's',
        before: 'b',
        state: 'Running',
        files: 0,
        removed: 0,
      },
      ...{ message: 'It waits: \u001b[31mred', startedAt: '2026-11-26T18:00:00.000Z', endedAt: null },
    },
  ],
};

describe('shares for people', () => {
  it('are a table', () => {
    const deleted = { at: '', daysLeft: 3, version: 'V' };
    expect(describeShares([], 80)).toBe('There are no shares.\n');
    const text = describeShares([share, { ...share, name: 'team/old', deleted }], 200);
    expect(text).toMatch(/team\/shared +9 GiB +10 GiB +90 % +1 +1 MiB +hourly=24,daily=7\n/);
    expect(text).toMatch(/team\/old .* deleted, kept for 3 days\n/);
  });

  it('say whose the room is, the largest first, and what is restored', () => {
    const text = describeShare(share, 200);
    expect(text).toContain('9 GiB of 10 GiB used (90 %)');
    expect(text.indexOf('notebooks/bob')).toBeLessThan(text.indexOf('notebooks/alice'));
    expect(text).toContain('auto-2026-11-26T18-00-00Z  its schedule');
    expect(text).toContain('Running: It waits: \\x1b[31mred');
    expect(describeSnapshots([], 80)).toBe('There are no snapshots.\n');
  });
});
