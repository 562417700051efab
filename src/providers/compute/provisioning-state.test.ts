import { describe, expect, it } from 'vitest';
import { newInstanceState, type InstanceState } from '../../pool/instance-state.ts';
import { provisioningStateOf, type InstanceProvisioningState } from './provisioning-state.ts';

const provisioned = { revision: '1', at: 1 } as unknown as NonNullable<InstanceState['provisioned']>; // only that it is there counts
const script = (status: 'running' | 'succeeded' | 'failed') => ({
  one: { version: '1', status, generation: 1 } as unknown as InstanceState['extensions'][string], // only its status counts
});
const failure = (attempts: number) => ({ step: 'create', code: 'C', message: 'm', since: 1, attempts, retryAt: 2 });
const removal = { since: 1, reason: 'r' };

describe('the provisioning state of an instance', () => {
  it.each<[InstanceProvisioningState, string, Partial<InstanceState>]>([
    ['Creating', 'that is new', {}],
    ['Creating', 'whose step has failed and is tried again', { failure: failure(4) }],
    ['Creating', 'whose script runs', { provisioned, extensions: script('running') }],
    ['Succeeded', 'that is prepared', { provisioned }],
    ['Succeeded', 'whose script has ended well', { provisioned, extensions: script('succeeded') }],
    ['Succeeded', 'that is prepared and whose last step has failed', { provisioned, failure: failure(1) }],
    ['Failed', 'whose script has failed', { provisioned, extensions: script('failed') }],
    ['Failed', 'whose step has failed too often', { failure: failure(5) }],
    ['Failed', 'whose step has failed too often after it was prepared', { provisioned, failure: failure(9) }],
    ['Deleting', 'that is removed', { provisioned, removal }],
    [
      'Deleting',
      'that is removed, whatever has failed',
      { removal, failure: failure(9), extensions: script('failed') },
    ],
  ])('is %s of one %s', (wanted, _what, over) => {
    expect(provisioningStateOf({ ...newInstanceState(), ...over })).toBe(wanted);
  });
});
