import { describe, expect, it } from 'vitest';
import type { Session } from '../link/people.ts';
import type { Presence } from './bindings.ts';
import { createPresenceWatch } from './watch-presences.ts';

const place = (user: string): Presence => ({ pool: '/p', user, instance: 'one', activeAt: 0 });
const session = (user: string): Session => ({
  ...{ ...place(user), id: user, protocol: 'ssh' as const, since: 0, activeAt: 0, client: '127.0.0.1' },
});

function prepare() {
  const world = { now: 0, sessions: [] as Session[], running: [] as Presence[], looks: 0, fails: false };
  const errors: unknown[] = [];
  const watch = createPresenceWatch({
    clock: { now: () => world.now },
    sessions: () => world.sessions,
    look: () => {
      world.looks += 1;
      return world.fails ? Promise.reject(new Error('no list')) : Promise.resolve([...world.running]);
    },
    onError: (error) => errors.push(error),
  });
  return { world, watch, errors };
}

describe('sessions and what is left running', () => {
  it('leave no moment between the two', async () => {
    const { world, watch } = prepare();
    world.sessions = [session('alice')];
    expect(await watch()).toEqual({ sessions: world.sessions, presences: [] });
    world.now += 500;
    world.sessions = [];
    world.running = [place('alice')]; // begun since the last look
    expect((await watch()).presences).toEqual([place('alice')]);
    world.now += 1_500;
    expect((await watch()).presences).toEqual([place('alice')]);
    world.running = [];
    world.now += 2_000;
    expect((await watch()).presences).toEqual([]);
  });

  it('let go of who has ended everything at the next look', async () => {
    const { world, watch } = prepare();
    world.sessions = [session('alice')];
    await watch();
    world.sessions = [];
    world.now += 100;
    expect((await watch()).presences).toEqual([place('alice')]);
    world.now += 2_000;
    expect((await watch()).presences).toEqual([]);
  });

  it('are not looked for all the time', async () => {
    const { world, watch } = prepare();
    for (let pass = 0; pass < 10; pass++) {
      await watch();
      world.now += 500;
    }
    expect(world.looks).toBe(3);
  });

  it('stay as they were when nobody can look', async () => {
    const { world, watch, errors } = prepare();
    world.running = [place('bob')];
    world.sessions = [session('alice')];
    await watch();
    Object.assign(world, { fails: true, sessions: [], now: 5_000 });
    expect((await watch()).presences).toEqual([place('bob'), place('alice')]);
    expect(errors).toHaveLength(1);
  });
});
