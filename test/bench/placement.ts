import { createPlacements } from '../../src/control/placements.ts';
import type { Presence } from '../../src/control/bindings.ts';
import { systemClock } from '../../src/core/system-clock.ts';
import type { Benchmark } from './benchmark.ts';

const instances = 1_000;
const bound = 50_000;
const asked = 500;

/** One question about somebody new, in a pool of 1,000 instances with 50,000 people on them. */
export const placement: Benchmark = {
  name: 'placement.us',
  unit: 'us',
  goal: { atMost: 1_000 },
  missing: () => Promise.resolve(undefined),
  async measure() {
    const pool = 'pool';
    const names = Array.from({ length: instances }, (_, index) => `instance-${String(index).padStart(4, '0')}`);
    const presences: Presence[] = Array.from({ length: bound }, (_, index) => ({
      pool,
      user: `user-${index}`,
      instance: names[(index * 7) % instances] ?? '',
      activeAt: 0,
    }));
    const placements = createPlacements({ clock: systemClock, onWaiting: () => undefined });
    placements.setPools(
      new Map([
        [
          pool,
          {
            policy: { prefer: 'fewest-users' as const },
            idleMilliseconds: undefined,
            instances: names.map((instance) => ({ instance, reachable: true, inRotation: true })),
            describe: () => ({ message: '', never: true }),
          },
        ],
      ]),
    );
    placements.setSeen({ sessions: [], presences });
    const { signal } = new AbortController();
    const ask = async (user: string) => {
      const begun = performance.now();
      await placements.answer({ ticket: user, pool, user, unusable: [] }, signal);
      return (performance.now() - begun) * 1_000;
    };
    const [newcomers, known]: [number[], number[]] = [[], []];
    for (let index = 0; index < asked; index += 1) {
      newcomers.push(await ask(`new-${index}`));
      known.push(await ask(`user-${index}`));
    }
    return { rounds: newcomers.slice(50), peers: { 'of somebody bound': known.slice(50) } }; // the first ones compile
  },
};
