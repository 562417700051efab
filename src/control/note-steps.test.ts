import { describe, expect, it } from 'vitest';
import { findActivities } from '../store/activity-log.ts';
import { eraseInstance, findInstance } from '../store/instance-records.ts';
import { noteSteps } from './note-steps.ts';
import type { InstanceStep, ScaleSetSteps } from './scale-set-steps.ts';
import { openTestPool, scaleSetId, type TestPoolOptions } from './test-support.ts';

const { signal } = new AbortController();

async function prepare(found: TestPoolOptions['found'] = {}) {
  const { world: control, key, instance, change } = await openTestPool({ found });
  const { store } = control;
  const { instanceId, hostname } = await instance();
  const world = { fails: undefined as Error | undefined };
  const inner: Pick<ScaleSetSteps, 'execute'> = {
    async execute(_key, step) {
      if (world.fails !== undefined) throw world.fails;
      const record = await findInstance(store.db, key, step.instanceId);
      if (step.step === 'remove' && record !== undefined) await eraseInstance(store.db, record);
    },
  };
  let count = 0;
  const steps = noteSteps(inner as ScaleSetSteps, { store, clock: { now: () => 5 }, newId: () => String(count++) });
  const run = (step: InstanceStep) => steps.execute(key, step, signal);
  const noted = async () =>
    (await findActivities(store.db, { resourceId: scaleSetId })).map(({ status, caller, message }) => [
      status,
      caller,
      message,
    ]);
  return { store, change, world, run, noted, instanceId, hostname };
}

describe('what is done with an instance', () => {
  it('is noted with its reason, also when the instance is gone', async () => {
    const { store, run, instanceId, hostname } = await prepare();
    await run({ step: 'remove', instanceId, reason: 'it drained and nobody is there' });
    expect(await findActivities(store.db, { resourceId: scaleSetId, instanceId })).toMatchObject([
      {
        operation: 'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/delete/action',
        status: 'Succeeded',
        caller: 'poolhouse',
        message: `${hostname} was removed: it drained and nobody is there.`,
        properties: { hostname },
      },
    ]);
  });

  it('is told of whose number it comes from', async () => {
    const change = { by: 'autoscale', from: 2, to: 1, operators: 2, generation: 2 };
    const { run, noted, instanceId, hostname } = await prepare({ $automatic: [change] });
    await run({ step: 'drain', by: 'scale-in', instanceId, until: 0 });
    expect(await noted()).toEqual([
      [
        'Succeeded',
        'autoscale',
        `${hostname} drains until 1970-01-01 00:00Z: autoscale has changed the capacity from 2 to 1.`,
      ],
    ]);
  });

  it('is not noted where it only prepares it', async () => {
    const { run, noted, instanceId } = await prepare();
    await run({ step: 'provision', instanceId });
    await run({ step: 'runExtension', instanceId, extension: 'script' });
    expect(await noted()).toEqual([]);
  });

  it('is noted once where it fails in the same way again and again', async () => {
    const { change, world, run, noted, instanceId } = await prepare();
    world.fails = new Error('no room');
    const failure = { step: 'create', code: 'X', message: 'no room', since: 0, attempts: 1, retryAt: 0 };
    await expect(run({ step: 'create', instanceId })).rejects.toThrow('no room');
    await change({ failure });
    await expect(run({ step: 'create', instanceId })).rejects.toThrow('no room');
    expect(await noted()).toHaveLength(1);
    world.fails = new Error('no address');
    await expect(run({ step: 'create', instanceId })).rejects.toThrow('no address');
    expect(await noted()).toHaveLength(2);
    expect((await noted()).map(([status]) => status)).toEqual(['Failed', 'Failed']);
  });
});
