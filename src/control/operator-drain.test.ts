import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { keyOf } from '../core/resource-id.ts';
import { allocateInstances, findInstances, updateInstanceState } from '../store/instance-records.ts';
import { openStore, type Store } from '../store/store.ts';
import { createOperatorDrain } from './operator-drain.ts';

const scaleSetKey = keyOf('/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/virtualMachineScaleSets/pool');

describe('an operator’s own drain', () => {
  let store: Store;
  let looked = 0;
  const drain = (request: unknown) =>
    createOperatorDrain({
      store,
      clock: { now: () => 1_000, sleep: () => Promise.resolve() },
      log: pino({ level: 'silent' }),
      changed: () => (looked += 1),
    })(request);
  const state = async () => (await findInstances(store.db))[0]?.state;

  beforeEach(async () => {
    looked = 0;
    store = await openStore(':memory:');
    await store.transaction((tx) =>
      allocateInstances(tx, {
        ...{ scaleSetKey, count: 1, modelVersion: 'v', hostnamePrefix: 'team', nameStem: 'pool-1', now: 0 },
        ...{ addresses: ['10.0.0.2'], taken: new Set<string>(), natPools: [], zones: [] },
      }),
    );
  });
  afterEach(() => store.close());

  it('lasts until the operator ends it, and has the loops look', async () => {
    expect(await drain({ instance: 'team000000' })).toEqual({ instance: 'team000000', draining: true });
    expect((await state())?.draining).toEqual({ since: 1_000, by: 'operator' });
    expect(await drain({ instance: 'team000000', off: true })).toEqual({ instance: 'team000000', draining: false });
    expect(await state()).not.toHaveProperty('draining');
    expect(looked).toBe(2);
  });

  it('does not end what drains for another reason', async () => {
    const draining = { since: 1, until: 2, by: 'scale-in' as const };
    const [instance] = await findInstances(store.db);
    if (instance === undefined) throw new Error('no instance');
    await store.transaction((tx) => updateInstanceState(tx, instance, (before) => ({ ...before, draining })));
    await drain({ instance: 'team000000', off: true });
    expect((await state())?.draining).toEqual(draining);
  });

  it.each([
    [{ instance: 'other' }, 'ResourceNotFound'],
    [{ instance: 7 }, 'InvalidParameter'],
    [{}, 'InvalidParameter'],
  ])('refuses %j', async (request, code) => {
    await expect(drain(request)).rejects.toMatchObject({ code });
    expect(looked).toBe(0);
  });
});
