/**
 * Kernels that are busy without working: a cell that sleeps, or waits for an answer from far away, uses no CPU and moves no
 * bytes. Only the notebook server knows of it, so it is asked, inside the instance and as the person (images/recipes/
 * datascience/files/busy-kernels), and only about people who would be idle otherwise: hardly ever, that is.
 */
import { z } from 'zod';
import type { EpochMillis } from '../core/time.ts';
import type { Presence } from './bindings.ts';

/** Asked so long before somebody would be idle, so that the answer is there by then; and to an instance no more often. */
const beforehand = 60_000;

const answerSchema = z.object({ busy: z.array(z.string()) });

/** Somebody on an instance, and when they will be idle. */
export interface AlmostIdle {
  instance: string;
  user: string;
  activeAt: EpochMillis;
  /** undefined: never. */
  idleMilliseconds: number | undefined;
}

export interface KernelWatch {
  /** The same, active at the time when a kernel of theirs was found busy. */
  mark(presences: readonly Presence[]): Presence[];
  /** Asks about those who are about to be idle; the answers come to `mark`. Returns at once. */
  look(people: Iterable<AlmostIdle>, now: EpochMillis): void;
  /** Waits until no question is under way. */
  idle(): Promise<void>;
}

export interface KernelWatchParts {
  /** What the program inside says of these people; undefined where the image has no such program. */
  ask: (instance: string, users: readonly string[]) => Promise<string | undefined>;
  onError: (instance: string, error: unknown) => void;
}

/** A pool where one is idle after a minute asks twice in it. */
const spanOf = (idleMilliseconds: number) => Math.min(beforehand, idleMilliseconds / 2);

export function createKernelWatch({ ask, onError }: KernelWatchParts): KernelWatch {
  const keyOf = ({ instance, user }: { instance: string; user: string }) => `${instance}\n${user}`;
  const askedAt = new Map<string, EpochMillis>();
  /** When it was answered last about somebody, and when a kernel was busy. */
  const answeredAt = new Map<string, EpochMillis>();
  const busyAt = new Map<string, EpochMillis>();
  const underWay = new Set<Promise<void>>();

  function isDoubtful(one: AlmostIdle, now: EpochMillis): boolean {
    if (one.idleMilliseconds === undefined) return false;
    const from = one.activeAt + one.idleMilliseconds - spanOf(one.idleMilliseconds);
    const at = answeredAt.get(keyOf(one)) ?? Number.NEGATIVE_INFINITY;
    // Whose kernels did nothing since they were active last begins nothing new without being seen.
    return now >= from && (at < from || at <= one.activeAt);
  }

  async function question(instance: string, users: readonly string[], now: EpochMillis): Promise<void> {
    try {
      const text = await ask(instance, users);
      const busy = new Set(text === undefined ? [] : answerSchema.parse(JSON.parse(text)).busy);
      for (const user of users) {
        answeredAt.set(keyOf({ instance, user }), now);
        if (busy.has(user)) busyAt.set(keyOf({ instance, user }), now);
      }
    } catch (error) {
      // Where nothing is known somebody counts as active.
      for (const user of users) busyAt.set(keyOf({ instance, user }), now);
      onError(instance, error);
    }
  }

  return {
    mark: (presences) =>
      presences.map((presence) => ({
        ...presence,
        activeAt: Math.max(presence.activeAt, busyAt.get(keyOf(presence)) ?? 0),
      })),
    look(people, now) {
      const there = [...people];
      const keys = new Set(there.map(keyOf));
      for (const known of [answeredAt, busyAt]) for (const key of known.keys()) if (!keys.has(key)) known.delete(key);
      const instances = new Set(there.map(({ instance }) => instance));
      for (const instance of askedAt.keys()) if (!instances.has(instance)) askedAt.delete(instance);
      const doubtful = Map.groupBy(
        there.filter((one) => isDoubtful(one, now)),
        ({ instance }) => instance,
      );
      for (const [instance, users] of doubtful) {
        const span = Math.min(
          ...users.map(({ idleMilliseconds = Number.POSITIVE_INFINITY }) => spanOf(idleMilliseconds)),
        );
        if (now - (askedAt.get(instance) ?? Number.NEGATIVE_INFINITY) < span) continue;
        askedAt.set(instance, now);
        const names = users.map(({ user }) => user);
        const work: Promise<void> = question(instance, names, now).finally(() => underWay.delete(work));
        underWay.add(work);
      }
    },
    idle: async () => {
      await Promise.allSettled(underWay);
    },
  };
}
