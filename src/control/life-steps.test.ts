import { describe, expect, it } from 'vitest';
import type { ResourceKey } from '../core/resource-id.ts';
import type { Draining, InstanceState } from '../pool/instance-state.ts';
import { newInstanceState } from '../pool/instance-state.ts';
import type { InstanceRecord } from '../store/instance-records.ts';
import type { ResourceRecord } from '../store/resource-records.ts';
import { lifeSteps, type LifeStepParts } from './life-steps.ts';

const key = 'set' as ResourceKey;
const { signal } = new AbortController();

/** One instance that drains, and the calls of its engine. */
function prepare(draining: Draining | undefined) {
  const called: string[] = [];
  const instance = {
    name: 'one',
    state: { ...newInstanceState(), provisioned: 'p', rescuedAt: 5, ...(draining === undefined ? {} : { draining }) },
  } as unknown as InstanceRecord; // what the steps here ask of it
  const parts = {
    world: {
      clock: { now: () => 1_000 },
      engine: {
        capabilities: () => ({ real: false }),
        setPower: async (_name: string, power: string) => void called.push(power),
        delete: async () => void called.push('delete'),
      },
      live: { engineInstances: () => [] },
    },
    subject: async () => ({ instance: { ...instance }, set: {} as ResourceRecord }),
    change: async (_instance: InstanceRecord, how: (state: InstanceState) => InstanceState) => {
      instance.state = how(instance.state);
    },
  } as unknown as LifeStepParts;
  return { instance, called, steps: lifeSteps(key, parts) };
}

describe('an instance that drains', () => {
  it.each([
    ['repair', false],
    ['operator', true],
    ['delete', true],
    ['scale-in', true],
  ] as const)('for %s goes on to when it was restarted: %s', async (by, goesOn) => {
    const { instance, called, steps } = prepare({ since: 1, by });
    await steps.restart({ instanceId: 0, reason: 'x' }, signal);
    expect(called).toEqual(['stopped', 'running']);
    expect(instance.state.draining !== undefined).toBe(goesOn);
    expect(instance.state.repairedAt).toBe(1_000);
  });

  it.each([
    ['operator', true],
    ['delete', true],
    ['upgrade', false],
    ['repair', false],
  ] as const)('for %s goes on to when it was made anew: %s', async (by, goesOn) => {
    const { instance, steps } = prepare({ since: 1, by });
    const also = { model: 'own', reason: 'x' } as const;
    await steps.remake({ instanceId: 0, ...also }, signal);
    expect(instance.state.draining !== undefined).toBe(goesOn);
    expect(instance.state).not.toHaveProperty('provisioned');
    expect(instance.state).not.toHaveProperty('rescuedAt');
  });

  it('is rescued for this draining only: who has worked on it since it was wanted again is not forgotten', async () => {
    const { instance, steps } = prepare({ since: 1, by: 'scale-in' });
    const { rescuedAt: _before, ...unrescued } = instance.state;
    instance.state = unrescued;
    const running = steps.rescue({ instanceId: 0 }, signal);
    instance.state = { ...unrescued, draining: { since: 2, by: 'scale-in' } };
    await running;
    expect(instance.state).not.toHaveProperty('rescuedAt');
    await steps.rescue({ instanceId: 0 }, signal);
    expect(instance.state.rescuedAt).toBe(1_000);
  });
});
