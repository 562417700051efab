import { describe, expect, it } from 'vitest';
import { usageInWords } from './workspace-usage.ts';

describe('what folders hold', () => {
  it('is a line for each share', () => {
    const one = { account: 'acct', share: 'shared', folder: 'notebooks/ada', usedBytes: 1_536 };
    expect(
      usageInWords(
        [
          { ...one, quotaBytes: 2 ** 30 },
          { ...one, share: 'more', quotaBytes: null },
        ],
        '  files  ',
      ),
    ).toEqual([
      '  files  1.5 KiB of 1 GiB in notebooks/ada on shared of acct',
      '         1.5 KiB in notebooks/ada on more of acct',
    ]);
    expect(usageInWords([], '  files  ')).toEqual([]);
  });
});
