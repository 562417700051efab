/** The ledger added up for people: hours and money by day, pool, user or size. Pure. */
import type { LedgerEntry } from './split-time.ts';

export const costGroups = ['day', 'pool', 'user', 'size'] as const;
export type CostGroup = (typeof costGroups)[number];

export interface CostRow {
  /** The day, pool, user or size; '' for time that is nobody's. */
  key: string;
  usedHours: number;
  idleHours: number;
  standbyHours: number;
  /** Of the hours whose size has a price; null where none of them has. */
  cost: number | null;
}

export interface Costs {
  rows: CostRow[];
  total: CostRow;
  /** Sizes without a price: their hours are not in `cost`. */
  unpriced: string[];
}

const hour = 3_600_000;

/** @param prices of an hour, by size in any case */
export function sumCosts(
  entries: readonly LedgerEntry[],
  by: CostGroup,
  prices: Readonly<Record<string, number>>,
): Costs {
  const known = new Map(Object.entries(prices).map(([size, price]) => [size.toLowerCase(), price]));
  const priceOf = (size: string) => known.get(size.toLowerCase());
  const groups = Map.groupBy(entries, (entry) => entry[by]);
  return {
    rows: [...groups]
      .map(([key, members]) => rowOf(key, members, priceOf))
      .toSorted((one, other) => (one.key < other.key ? -1 : 1)),
    total: rowOf('', entries, priceOf),
    unpriced: [...new Set(entries.map(({ size }) => size))].filter((size) => priceOf(size) === undefined).toSorted(),
  };
}

function rowOf(key: string, entries: readonly LedgerEntry[], priceOf: (size: string) => number | undefined): CostRow {
  const row = { key, usedHours: 0, idleHours: 0, standbyHours: 0 };
  let cost: number | null = null;
  for (const { size, used, idle, standby } of entries) {
    row.usedHours += used / hour;
    row.idleHours += idle / hour;
    row.standbyHours += standby / hour;
    const price = priceOf(size);
    if (price !== undefined) cost = (cost ?? 0) + ((used + idle + standby) / hour) * price;
  }
  return { ...row, cost };
}
