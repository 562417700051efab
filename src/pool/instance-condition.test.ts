import { describe, expect, it } from 'vitest';
import { instanceCondition } from './instance-condition.ts';
import { newInstanceState, type InstanceState } from './instance-state.ts';

const extension = { version: 'v', message: '', startedAt: 0, generation: 1 } as const;
const failure = { step: 'create', code: 'C', message: '', since: 0, attempts: 1, retryAt: 0 };
const draining = { since: 0, until: 9 };
const removal = { since: 0, reason: 'deleted' };

describe('the condition of an instance', () => {
  const cases: [what: string, change: Partial<InstanceState>, inRotation: boolean, condition: string][] = [
    ['it receives people', {}, true, 'in_rotation'],
    ['it is being prepared, or does not pass its probes', {}, false, 'out_of_rotation'],
    ['it was switched off', { power: 'stopped' }, false, 'stopped'],
    ['its people may finish', { draining }, true, 'draining'],
    ['a step failed', { failure }, true, 'failed'],
    ['a script failed', { extensions: { a: { ...extension, status: 'failed' } } }, false, 'failed'],
    ['a script runs', { extensions: { a: { ...extension, status: 'running' } } }, false, 'out_of_rotation'],
    ['it fails while it drains', { draining, failure }, false, 'failed'],
    ['it goes, whatever else', { draining, failure, removal, power: 'stopped' }, true, 'removing'],
  ];
  it.each(cases)('%s', (_what, change, inRotation, condition) => {
    expect(instanceCondition({ ...newInstanceState(), ...change }, inRotation)).toBe(condition);
  });
});
