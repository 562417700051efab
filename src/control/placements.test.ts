import { describe, expect, it, vi } from 'vitest';
import type { PlacementAnswer, PlacementQuestion } from '../link/people.ts';
import { createPlacements, type PoolSeats } from './placements.ts';

const pool = '/pools/team';
const ask = (ticket: string, changes: Partial<PlacementQuestion> = {}): PlacementQuestion => ({
  ticket,
  pool,
  user: ticket,
  unusable: [],
  ...changes,
});

function seats(inRotation: readonly string[], changes: Partial<PoolSeats> = {}): Map<string, PoolSeats> {
  return new Map([
    [
      pool,
      {
        policy: { prefer: 'fewest-users' },
        idleMilliseconds: 120,
        instances: inRotation.map((instance) => ({ instance, reachable: true, inRotation: true })),
        describe: (because) => ({ message: because, never: false }),
        ...changes,
      },
    ],
  ]);
}

function prepare() {
  let now = 0;
  const sleepers: (() => void)[] = [];
  const clock = {
    now: () => now,
    sleep: (_ms: number, signal?: AbortSignal) =>
      new Promise<void>((resolve, reject) => {
        sleepers.push(resolve);
        signal?.addEventListener('abort', () => {
          reject(new Error('stopped'));
        });
      }),
  };
  const onWaiting = vi.fn();
  const onEnd = vi.fn();
  const placements = createPlacements({ clock, onWaiting, onEnd, maxWaiting: 3 });
  const open = (question: PlacementQuestion, signal = new AbortController().signal) => {
    const held: { answer?: PlacementAnswer } = {};
    const done = placements.answer(question, signal).then((answer) => {
      held.answer = answer;
    });
    return { held, done };
  };
  return {
    placements,
    onWaiting,
    onEnd,
    open,
    pass: (milliseconds: number) => {
      now += milliseconds;
    },
    endPolls: () => {
      for (const wake of sleepers.splice(0)) wake();
    },
  };
}
const at = (instance: string) => ({ outcome: 'placed', instance });

describe('placements', () => {
  it('are given at once where there is an instance, and spread people out', async () => {
    const { placements, onWaiting } = prepare();
    placements.setPools(seats(['one', 'two']));
    const { signal } = new AbortController();
    expect(await placements.answer(ask('ada'), signal)).toEqual(at('one'));
    expect(await placements.answer(ask('bob'), signal)).toEqual(at('two'));
    expect(await placements.answer(ask('again', { user: 'bob' }), signal)).toEqual(at('two'));
    expect(onWaiting).not.toHaveBeenCalled();
  });

  it('wait for the first instance, in words, and begin to be looked for', async () => {
    const { placements, onWaiting, open, endPolls } = prepare();
    placements.setPools(seats([]));
    const first = open(ask('ada'));
    await first.done;
    expect(first.held.answer).toMatchObject({
      outcome: 'waiting',
      message: 'nobody in rotation',
      position: 1,
      waiting: 1,
    });
    expect(onWaiting).toHaveBeenCalled();
    expect(placements.waiting(pool)).toBe(1);
    const second = open(ask('ada', { told: 'nobody in rotation' }));
    placements.setPools(seats(['one']));
    await second.done;
    expect(second.held.answer).toEqual(at('one'));
    expect(placements.waiting(pool)).toBe(0);
    endPolls();
  });

  it('come in the order in which people came', async () => {
    const { placements, open, pass, endPolls } = prepare();
    const limits = { policy: { prefer: 'fewest-users', usersPerInstance: 1 } } as const;
    placements.setPools(seats([], limits));
    await open(ask('ada')).done;
    pass(1_000);
    await open(ask('bob')).done;
    const bob = open(ask('bob', { told: 'nobody in rotation You are number 2 of 2 who wait.' }));
    const ada = open(ask('ada', { told: 'nobody in rotation You are number 1 of 2 who wait.' }));
    placements.setPools(seats(['one'], limits));
    await Promise.all([ada.done, bob.done]);
    expect(ada.held.answer).toEqual(at('one'));
    expect(bob.held.answer).toMatchObject({ outcome: 'waiting', message: 'full' });
    endPolls();
  });

  it('are told again at the end of a poll', async () => {
    const { placements, open, endPolls } = prepare();
    placements.setPools(seats([]));
    await open(ask('ada')).done;
    const again = open(ask('ada', { told: 'nobody in rotation' }));
    endPolls();
    await again.done;
    expect(again.held.answer).toMatchObject({ outcome: 'waiting', message: 'nobody in rotation' });
  });

  it('are refused where nothing will come, or nobody may', async () => {
    const { placements } = prepare();
    const { signal } = new AbortController();
    placements.setPools(seats([], { describe: () => ({ message: 'It is switched off.', never: true }) }));
    expect(await placements.answer(ask('ada'), signal)).toEqual({ outcome: 'refused', message: 'It is switched off.' });
    placements.setPools(seats(['one'], { policy: { prefer: 'fewest-users', sessionsPerUser: 1 } }));
    const session = { id: '1', pool, user: 'ada', instance: 'one', since: 1, protocol: 'ssh', client: '' } as const;
    placements.setSeen({ sessions: [session], presences: [] });
    expect(await placements.answer(ask('ada'), signal)).toMatchObject({ outcome: 'refused' });
    await expect(placements.answer(ask('eve', { pool: '/none' }), signal)).rejects.toMatchObject({
      code: 'ResourceNotFound',
    });
  });

  it('pass over what did not answer, also for who is bound to it', async () => {
    const { placements } = prepare();
    const { signal } = new AbortController();
    placements.setPools(seats(['one', 'two']));
    expect(await placements.answer(ask('ada'), signal)).toEqual(at('one'));
    expect(await placements.answer(ask('ada', { unusable: ['one'] }), signal)).toEqual(at('two'));
  });

  it('bring back to a draining instance who is bound to it, and nobody else', async () => {
    const { placements } = prepare();
    const { signal } = new AbortController();
    const session = { id: '1', pool, user: 'ada', instance: 'one', since: 1, protocol: 'ssh', client: '' } as const;
    const presence = { pool, user: 'bob', instance: 'one', activeAt: 0 };
    placements.setPools(seats(['one', 'two']));
    expect(placements.usersOn('one')).toBeUndefined();
    placements.setSeen({ sessions: [session], presences: [presence] });
    placements.setPools(
      seats([], {
        instances: [
          { instance: 'one', reachable: true, inRotation: false }, // it drains
          { instance: 'two', reachable: true, inRotation: true },
        ],
      }),
    );
    expect(placements.usersOn('one')).toBe(2);
    expect(await placements.answer(ask('ada'), signal)).toEqual(at('one'));
    expect(await placements.answer(ask('bob'), signal)).toEqual(at('one'));
    expect(await placements.answer(ask('eve'), signal)).toEqual(at('two'));
    // The session has ended; the place just given counts until she is there again.
    placements.setSeen({ sessions: [], presences: [presence] });
    expect(await placements.answer(ask('ada again', { user: 'ada' }), signal)).toEqual(at('one'));
  });

  it('count as active on an instance while they are not idle, or keep it', () => {
    const { placements, pass } = prepare();
    expect(placements.activeUsersOn('one')).toBeUndefined();
    placements.setPools(seats(['one']));
    const session = { id: '1', pool, user: 'ada', instance: 'one', since: 0, protocol: 'ssh', client: '' } as const;
    const see = () => {
      placements.setSeen({
        sessions: [{ ...session, activeAt: 50 }],
        presences: [
          { pool, user: 'bob', instance: 'one', activeAt: 0 },
          { pool, user: 'eve', instance: 'one', activeAt: 0, kept: true },
        ],
      });
    };
    see();
    expect(placements.activeUsersOn('one')).toBe(3);
    pass(120);
    expect(placements.activeUsersOn('one')).toBe(2);
    pass(50);
    expect([placements.activeUsersOn('one'), placements.usersOn('one')]).toEqual([1, 3]);
    placements.setPools(seats(['one'], { idleMilliseconds: undefined }));
    expect(placements.activeUsersOn('one')).toBe(3);
    expect(placements.activeUsersOn('two')).toBe(0);
  });

  it('forget who went away, and take no more than may wait', async () => {
    const { placements, open, pass } = prepare();
    placements.setPools(seats([]));
    for (const name of ['a', 'b', 'c']) await open(ask(name)).done;
    const { signal } = new AbortController();
    await expect(placements.answer(ask('d'), signal)).rejects.toMatchObject({ code: 'TooManyRequests' });
    pass(60_000);
    placements.setPools(seats([]));
    expect(placements.waiting(pool)).toBe(0);
    const hungUp = new AbortController();
    const last = open(ask('e', { told: 'nobody in rotation' }), hungUp.signal);
    expect(placements.waiting(pool)).toBe(1);
    hungUp.abort();
    await last.done;
    expect(placements.waiting(pool)).toBe(0);
  });

  it('tell how each of them ended, from the first question on', async () => {
    const { placements, onEnd, open, pass, endPolls } = prepare();
    placements.setPools(seats([]));
    const waiting = open(ask('ada'));
    const hangsUp = new AbortController();
    pass(5_000);
    endPolls();
    await waiting.done;
    const told = 'nobody in rotation You are number 2 of 2 who wait.';
    const leaving = open(ask('bob', { told }), hangsUp.signal);
    expect(onEnd).not.toHaveBeenCalled();
    pass(5_000);
    const again = open(ask('ada', { told: 'nobody in rotation You are number 1 of 2 who wait.' }));
    hangsUp.abort();
    await leaving.done;
    placements.setPools(seats(['one']));
    await again.done;
    placements.setPools(seats([], { describe: () => ({ message: 'off', never: true }) }));
    await open(ask('eve')).done;
    expect(onEnd.mock.calls).toEqual([
      [pool, 'left', 5_000],
      [pool, 'placed', 10_000],
      [pool, 'refused', 0],
    ]);
  });
});
