import { describe, expect, it, vi } from 'vitest';
import { createKernelWatch, type AlmostIdle } from './kernel-watch.ts';

const minute = 60_000;
const ada: AlmostIdle = { instance: 'one', user: 'ada', activeAt: 0, idleMilliseconds: 120 * minute };
const presence = { pool: '/p', user: 'ada', instance: 'one', activeAt: 0 };

function prepare(answer: (users: readonly string[]) => string | undefined = () => '{"busy":["ada"]}') {
  const ask = vi.fn((_instance: string, users: readonly string[]) => Promise.resolve(answer(users)));
  const onError = vi.fn();
  const watch = createKernelWatch({ ask, onError });
  const look = async (people: AlmostIdle[], now: number) => {
    watch.look(people, now);
    await watch.idle();
  };
  return { watch, ask, onError, look, mark: () => watch.mark([presence])[0]?.activeAt };
}

describe('kernels', () => {
  it('are asked for only of who is about to be idle, and a busy one makes its person active', async () => {
    const { ask, look, mark } = prepare();
    await look([ada, { ...ada, user: 'eve', idleMilliseconds: undefined }], 119 * minute - 1);
    expect(ask).not.toHaveBeenCalled();
    await look([ada, { ...ada, user: 'eve', idleMilliseconds: undefined }], 119 * minute);
    expect(ask.mock.calls).toEqual([['one', ['ada']]]);
    expect(mark()).toBe(119 * minute);
    await look([{ ...ada, activeAt: 119 * minute }], 200 * minute);
    expect(ask).toHaveBeenCalledOnce();
    await look([{ ...ada, activeAt: 119 * minute }], 238 * minute);
    expect(ask).toHaveBeenCalledTimes(2);
  });

  it('that do nothing leave their person idle, and are not asked for again', async () => {
    const { ask, look, mark } = prepare(() => '{"busy":[]}');
    for (const now of [119, 120, 121, 300]) await look([ada], now * minute);
    expect(ask).toHaveBeenCalledOnce();
    expect(mark()).toBe(0);
    await look([{ ...ada, activeAt: 301 * minute }], 420 * minute);
    expect(ask).toHaveBeenCalledTimes(2);
  });

  it('that are busy keep their person active without a gap, however soon one is idle', async () => {
    const { watch } = prepare();
    const idleMilliseconds = minute;
    for (let now = 0, activeAt = 0; now < 10 * minute; now += 2_000) {
      activeAt = watch.mark([{ ...presence, activeAt }])[0]?.activeAt ?? 0;
      expect(now - activeAt).toBeLessThan(idleMilliseconds);
      watch.look([{ ...ada, activeAt, idleMilliseconds }], now);
      await watch.idle();
    }
  });

  it.each([
    ['fails', () => Promise.reject(new Error('gone'))],
    ['is no answer', () => Promise.resolve('{"busy": "all"}')],
  ])('are asked for again in a minute where it %s', async (_, ask) => {
    const asked = vi.fn(ask);
    const onError = vi.fn();
    const watch = createKernelWatch({ ask: asked, onError });
    for (const now of [119 * minute, 119.5 * minute, 120 * minute]) {
      watch.look([ada], now);
      await watch.idle();
    }
    expect(asked).toHaveBeenCalledTimes(2);
    expect(onError).toHaveBeenCalledTimes(2);
    // Where nothing is known somebody counts as active.
    expect(watch.mark([presence])).toEqual([{ ...presence, activeAt: 120 * minute }]);
  });

  it('of an image that cannot tell are none', async () => {
    const { onError, look, mark } = prepare(() => undefined);
    await look([ada], 119 * minute);
    expect(onError).not.toHaveBeenCalled();
    expect(mark()).toBe(0);
  });

  it('of people who have left are forgotten', async () => {
    const { look, mark } = prepare();
    await look([ada], 119 * minute);
    await look([], 119.1 * minute);
    expect(mark()).toBe(0);
  });
});
