/** What pools have cost, for the command line. */
import { z } from 'zod';
import { PoolhouseError } from '../core/errors.ts';
import { dayOf } from '../pool/split-time.ts';
import { costGroups, sumCosts, type CostGroup, type Costs } from '../pool/sum-costs.ts';
import { poolNameOf } from '../providers/identity/pool-names.ts';
import { findLedger, findLedgerPools } from '../store/ledger.ts';
import { findResources } from '../store/resource-records.ts';
import { choosePool } from './choose-pool.ts';
import type { World } from './world.ts';

export interface CostsDocument extends Costs {
  by: CostGroup;
  /** Days in UTC, both included. */
  from: string;
  to: string;
  /** `resourcegroup/scaleset` where one was asked for. */
  pool: string | null;
  currency: string;
}

/** Asked for at first: the last 30 days. */
const usualTime = 29 * 24 * 3_600_000;
const querySchema = z.strictObject({
  pool: z.string().optional(),
  by: z.enum(costGroups).default('pool'),
  from: z.iso.date().optional(),
  to: z.iso.date().optional(),
});

/**
 * Answers a question as the command line asks it; also of pools that are no more. `InvalidParameter` says what is wrong with it,
 * `ResourceNotFound` and `Conflict` that the pool is none or several.
 */
export async function readCosts(
  { store, clock }: Pick<World, 'store' | 'clock'>,
  { prices, currency }: { prices: Readonly<Record<string, number>>; currency: string },
  query: Readonly<Record<string, string>>,
): Promise<CostsDocument> {
  const asked = querySchema.safeParse(query);
  if (!asked.success)
    throw new PoolhouseError('InvalidParameter', `The question is not understood: ${z.prettifyError(asked.error)}`);
  const { by, to = dayOf(clock.now()) } = asked.data;
  const { from = dayOf(Date.parse(to) - usualTime) } = asked.data;
  if (from > to) throw new PoolhouseError('InvalidParameter', `${from} comes after ${to}.`);
  const sets = await findResources(store.db, { type: 'Microsoft.Compute/virtualMachineScaleSets' });
  const pools = [
    ...new Set([...(await findLedgerPools(store.db)), ...sets.map(({ id }) => poolNameOf(id))]),
  ].toSorted();
  const pool = asked.data.pool === undefined ? null : choosePool(asked.data.pool, pools);
  const entries = (await findLedger(store.db, from, to)).filter((entry) => pool === null || entry.pool === pool);
  return { by, from, to, pool, currency, ...sumCosts(entries, by, prices) };
}
