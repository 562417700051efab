import { describe, expect, it } from 'vitest';
import type { CostsDocument } from '../control/read-costs.ts';
import { costsQuery, describeCosts } from './costs.ts';

const row = (key: string, usedHours: number, cost: number | null) => ({
  ...{ key, usedHours, idleHours: 0.25, standbyHours: 1, cost },
});
const costs = (changes: Partial<CostsDocument> = {}): CostsDocument => ({
  ...{ by: 'user', from: '2026-03-01', to: '2026-03-31', pool: null, currency: 'EUR', unpriced: [] },
  ...{ rows: [row('', 0, 0.1), row('alice', 12.34, 1.234)], total: row('', 12.34, 1.334) },
  ...changes,
});

describe('the table of costs', () => {
  it('shows hours and money, and all together', () => {
    expect(describeCosts(costs(), 80)).toBe(
      [
        'Hours of instances from 2026-03-01 to 2026-03-31',
        '  USER      USED  IDLE  STANDBY  EUR',
        '  (nobody)  0.0   0.3   1.0      0.10',
        '  alice     12.3  0.3   1.0      1.23',
        '  together  12.3  0.3   1.0      1.33',
        '',
      ].join('\n'),
    );
  });

  it('shows no money where no price is known, and which sizes have none', () => {
    const text = describeCosts(
      costs({ rows: [row('alice', 1, null)], total: row('', 1, null), unpriced: ['Standard_D1'], pool: 'lab/team' }),
      80,
    );
    expect(text).toContain('in lab/team\n');
    expect(text).not.toContain('EUR');
    expect(text).not.toContain('together');
    expect(text).toContain(`Without a price ('prices' in config.json has them): Standard_D1`);
  });

  it('fits the terminal', () => {
    const long = row('a-very-long-resource-group-name/a-very-long-scale-set-name', 1_000, 10_000);
    for (const line of describeCosts(costs({ rows: [long] }), 60)
      .split('\n')
      .slice(1))
      expect(line.length).toBeLessThanOrEqual(60);
  });

  it('says when there was nothing', () => {
    expect(describeCosts(costs({ rows: [] }), 80)).toBe('Nothing is in the ledger from 2026-03-01 to 2026-03-31.\n');
  });
});

describe('the question', () => {
  it('holds what was asked for', () => {
    expect(costsQuery({ by: 'day', pool: 'a/b', from: '2026-03-01' }).toString()).toBe(
      'pool=a%2Fb&by=day&from=2026-03-01',
    );
  });

  it.each([
    [{ from: 'yesterday' }, `--from: 'yesterday' is not a day such as 2026-03-01.`],
    [{ to: '2026-02-30' }, `--to: '2026-02-30' is not a day`],
    [{ from: '2026-3-1' }, '--from'],
    [{ from: '2026-03-02', to: '2026-03-01' }, '--from 2026-03-02 comes after --to 2026-03-01.'],
  ])('is refused for %j', (options, message) => {
    expect(() => costsQuery({ by: 'day', ...options })).toThrow(message);
  });
});
