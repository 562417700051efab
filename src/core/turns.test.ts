import { describe, expect, it } from 'vitest';
import { createTurns } from './turns.ts';

describe('turns', () => {
  const { signal } = new AbortController();

  it('runs one after the other for one name, also after a failure, and at the same time for others', async () => {
    const turns = createTurns();
    const told: string[] = [];
    const gate = Promise.withResolvers<void>();
    const first = turns.take('a', signal, async () => {
      await gate.promise;
      told.push('first');
      throw new Error('failed');
    });
    const second = turns.take('a', signal, () => Promise.resolve(told.push('second')));
    await turns.take('b', signal, () => Promise.resolve(told.push('other')));
    gate.resolve();
    await expect(first).rejects.toThrow('failed');
    await second;
    expect(told).toEqual(['other', 'first', 'second']);
  });

  it('gives up waiting when the signal aborts, and never begins the work', async () => {
    const turns = createTurns();
    const gate = Promise.withResolvers<void>();
    const first = turns.take('a', signal, () => gate.promise);
    const abort = new AbortController();
    let begun = false;
    const second = turns.take('a', abort.signal, () => Promise.resolve((begun = true)));
    const reason = new Error('given up');
    abort.abort(reason);
    await expect(second).rejects.toBe(reason);
    gate.resolve();
    await first;
    await turns.take('a', signal, () => Promise.resolve());
    expect(begun).toBe(false);
  });
});
