import { describe, expect, it } from 'vitest';
import { halfSnapshots } from './half-snapshots.ts';

describe('halfSnapshots', () => {
  it.each<[string, string[], { room: string; name: string }[]]>([
    ['nothing', [], []],
    ['rooms only', ['notebooks/alice', 'groups/lab'], []],
    ['a whole one', ['notebooks/alice', 'notebooks/alice/.snapshots/a', '.snapshots/a'], []],
    ['a whole one, whose room came later', ['notebooks/alice', '.snapshots/a'], []],
    [
      'one that was cut off, beside a whole one',
      ['.snapshots/a', 'notebooks/alice/.snapshots/a', 'notebooks/alice/.snapshots/b', 'groups/lab/.snapshots/b'],
      [
        { room: 'notebooks/alice', name: 'b' },
        { room: 'groups/lab', name: 'b' },
      ],
    ],
    ['what is deeper in a snapshot', ['notebooks/alice/.snapshots/a/x', '.snapshots/a/.snapshots/b'], []],
  ])('%s', (_what, paths, halves) => {
    expect(halfSnapshots(paths)).toEqual(halves);
  });
});
