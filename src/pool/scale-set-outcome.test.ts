import { describe, expect, it } from 'vitest';
import type { ExtensionState } from './instance-state.ts';
import { newInstanceState } from './instance-state.ts';
import type { ScaleSetSnapshot } from './plan.ts';
import { scaleSetOutcome } from './scale-set-outcome.ts';

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
  return {
    capacity: 1,
    generation,
    deleting: false,
    drainMilliseconds: 0,
    imageReady: true,
    imageBusy: false,
    imageRetryAt: undefined,
    instances: [
      {
        instanceId: 7,
        state: { ...newInstanceState(), created: true, provisioned: 'p', extensions: { setup: extension } },
        power: 'running',
        provision: 'p',
        extensions: [{ name: 'setup', version: 'v', provisionAfter: [] }],
        connections: 0,
        busy: false,
      },
    ],
  };
}
const outcome = (...args: Parameters<typeof snapshot>) => scaleSetOutcome(snapshot(...args), () => true, undefined, 10);

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
