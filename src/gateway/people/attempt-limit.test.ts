import { describe, expect, it } from 'vitest';
import { createAttemptLimit } from './attempt-limit.ts';

function prepare({ gateways = 1 } = {}) {
  let now = 0;
  const limit = createAttemptLimit({ now: () => now, sleep: () => Promise.resolve() }, () => gateways);
  const fail = (address: string, user: string, times: number) => {
    for (let count = 0; count < times; count += 1) limit.failed(address, user);
  };
  return {
    limit,
    fail,
    pass: (milliseconds: number) => {
      now += milliseconds;
    },
  };
}

describe('the limit on sign-ins', () => {
  it.each([
    [0, 0],
    [2, 0],
    [3, 1_000],
    [4, 2_000],
    [6, 8_000],
    [50, 30_000],
  ])('after %i failures makes the same one wait %i ms', (failures, delay) => {
    const { limit, fail } = prepare();
    fail('10.0.0.1', 'ada', failures);
    expect(limit.delay('10.0.0.1', 'ada')).toBe(delay);
  });

  it('lets time pass, and forgets', () => {
    const { limit, fail, pass } = prepare();
    fail('10.0.0.1', 'ada', 4);
    pass(1_500);
    expect(limit.delay('10.0.0.1', 'ada')).toBe(500);
    pass(20 * 60_000);
    fail('10.0.0.1', 'ada', 1);
    expect(limit.delay('10.0.0.1', 'ada')).toBe(0);
  });

  it('begins anew when somebody has signed in', () => {
    const { limit, fail } = prepare();
    fail('10.0.0.1', 'ada', 5);
    limit.succeeded('10.0.0.1', 'ada');
    expect(limit.delay('10.0.0.1', 'ada')).toBe(0);
  });

  it('leaves an office alone because of one colleague, until too many guess there', () => {
    const { limit, fail } = prepare();
    limit.succeeded('10.0.0.1', 'bob');
    fail('10.0.0.1', 'ada', 20);
    expect(limit.delay('10.0.0.1', 'eve')).toBe(0);
    fail('10.0.0.1', 'ada', 20);
    expect(limit.delay('10.0.0.1', 'eve')).toBe(30_000);
    expect(limit.delay('10.0.0.1', 'bob')).toBe(0); // signed in from there before
  });

  it('leaves a person alone whose name is tried from everywhere, where they have signed in before', () => {
    const { limit, fail } = prepare();
    limit.succeeded('10.0.0.1', 'ada');
    for (let host = 2; host < 60; host += 1) fail(`10.0.0.${host}`, 'ada', 1);
    expect(limit.delay('10.0.0.1', 'ada')).toBe(0);
    expect(limit.delay('10.0.0.99', 'ada')).toBe(30_000);
  });

  it('has a bound', () => {
    const { limit, fail } = prepare();
    fail('10.0.0.1', 'first', 5);
    for (let user = 0; user < 20_000; user += 1) limit.failed('10.9.9.9', `user${user}`);
    expect(limit.delay('10.0.0.1', 'first')).toBe(0);
  });

  it('is as strict over several gateways as with one', () => {
    const several = [1, 2, 3].map(() => prepare({ gateways: 3 }));
    const one = prepare();
    for (let count = 0; count < 27; count += 1) several[count % 3]?.fail('10.0.0.1', `user${String(count)}`, 1);
    one.fail('10.0.0.1', 'somebody', 27);
    for (const { limit } of several) expect(limit.delay('10.0.0.1', 'ada')).toBe(one.limit.delay('10.0.0.1', 'ada'));
  });
});
