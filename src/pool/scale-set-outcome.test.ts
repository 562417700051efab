import { describe, expect, it } from 'vitest';
import { newInstanceState, type ExtensionState } from './instance-state.ts';
import { plan } from './plan.ts';
import { scaleSetOutcome } from './scale-set-outcome.ts';
import type { ScaleSetSnapshot } from './scale-set-snapshot.ts';
import { instance, now, ready, snapshot as world } from './test-support.ts';

const ended: ExtensionState = {
  version: 'v',
  status: 'failed',
  message: 'Enable failed: why',
  startedAt: 1,
  endedAt: 2,
  generation: 3,
};

/** One instance whose script ended so. */
function snapshot(extension: ExtensionState, generation = 3): ScaleSetSnapshot {
  const one = instance(7, {
    state: { ...ready, extensions: { setup: extension } },
    extensions: [{ name: 'setup', version: 'v', provisionAfter: [] }],
  });
  return world([one], { generation });
}
const outcome = (...args: Parameters<typeof snapshot>) => scaleSetOutcome(snapshot(...args), undefined, now);

describe('a scale set whose script did not end well', () => {
  it('has failed, by Azure’s code, with the instance and what the script said', () => {
    expect(outcome(ended)).toMatchObject({
      outcome: 'failed',
      code: 'VMExtensionProvisioningError',
      message: expect.stringMatching(/'setup' on instance 7.*Enable failed: why/) as string,
      target: '7',
    });
  });

  it('has a code of its own where the script ran too long', () => {
    expect(outcome({ ...ended, timedOut: true })).toMatchObject({
      outcome: 'failed',
      code: 'VMExtensionProvisioningTimeout',
      message: expect.stringMatching(/'setup' on instance 7 has timed out.*Enable failed: why/) as string,
    });
  });

  it('is on its way again after a later PUT', () => {
    expect(outcome(ended, 4)).toMatchObject({ outcome: 'updating' });
  });

  it('has succeeded when the script has', () => {
    expect(outcome({ ...ended, status: 'succeeded' })).toEqual({ outcome: 'succeeded' });
  });
});

describe('a scale set with a step that failed too often', () => {
  const failing = (generation: number): ScaleSetSnapshot => {
    const base = snapshot(ended, 3);
    const failure = {
      step: 'create',
      code: 'AllocationFailed',
      message: 'it is full',
      since: 0,
      attempts: 99,
      retryAt: 60,
    };
    return {
      ...base,
      instances: base.instances.map((one) => ({
        ...one,
        state: { ...newInstanceState(), failure: { ...failure, generation } },
        power: 'absent',
      })),
    };
  };

  it('has failed, by the code of the step', () => {
    expect(scaleSetOutcome(failing(3), undefined, 10)).toMatchObject({
      outcome: 'failed',
      code: 'AllocationFailed',
    });
  });

  it('is at work again when it is deployed again, and the step is tried at once', () => {
    expect(scaleSetOutcome(failing(2), undefined, 10)).toMatchObject({ outcome: 'updating' });
    expect(plan(failing(2), 10)).toEqual([{ step: 'create', instanceId: 7 }]);
    expect(plan(failing(3), 10)).toEqual([]);
  });
});
