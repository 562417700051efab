import { describe, expect, it, vi } from 'vitest';
import { createKeepHere, keepRequestSchema } from './keep-here.ts';
import { openTestPool } from './test-support.ts';

async function prepare(boundTo?: string) {
  const { world, key, instance } = await openTestPool();
  const { name } = await instance();
  const keep = vi.fn(() => Promise.resolve({ outcome: 'done' as const, message: 'kept' }));
  const binding = { pool: key, user: 'ada', instance: boundTo ?? name, sessions: 1, activeAt: 0, kept: false };
  const bindings = () => [{ ...binding, runs: { kernels: 0, others: 0 } }];
  const keepHere = createKeepHere(world, { keep }, { bindings });
  return { keep, keepHere, name, key };
}

describe('somebody who is on an instance', () => {
  it('keeps it, known by their uid and by the door', async () => {
    const { keep, keepHere, name, key } = await prepare();
    expect(await keepHere(name, { uid: 10_000, until: '2h' })).toEqual({ outcome: 'done', message: 'kept' });
    expect(keep).toHaveBeenCalledWith({ pool: key, user: 'ada', until: '2h' });
    await keepHere(name, { uid: 10_000 });
    expect(keep).toHaveBeenLastCalledWith({ pool: key, user: 'ada' });
  });

  it('keeps no other, and nobody keeps it who is not of the pool', async () => {
    const { keep, keepHere, name } = await prepare('another');
    expect(await keepHere(name, { uid: 10_000, until: 'off' })).toMatchObject({ outcome: 'refused' });
    for (const uid of [1, 10_001, 65_534])
      expect(await keepHere(name, { uid, until: '2h' })).toMatchObject({ outcome: 'refused' });
    expect(await keepHere('none', { uid: 10_000 })).toMatchObject({ outcome: 'refused' });
    expect(keep).not.toHaveBeenCalled();
  });

  it.each([
    { uid: 0 },
    { uid: '10000' },
    { until: '2h' },
    { uid: 10_000, until: 'x'.repeat(41) },
    { uid: 1, user: 'b' },
  ])('asks in one form: not %j', (asked) => {
    expect(keepRequestSchema.safeParse(asked).success).toBe(false);
  });
});
