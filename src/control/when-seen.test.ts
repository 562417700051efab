import { expect, it } from 'vitest';
import { whenSeen } from './when-seen.ts';

it.each<[string, boolean, number, number]>([
  ['waits', false, 5_000, 200],
  ['goes on once it was seen', true, 0, 7],
  ['does not wait for ever', false, 10_000, 7],
])('what needs the engine %s', async (_what, isSeen, after, delay) => {
  let now = 1_000;
  const pass = whenSeen(
    () => isSeen,
    { now: () => now },
    () => Promise.resolve(7),
  );
  now += after;
  expect(await pass(new AbortController().signal)).toBe(delay);
});
