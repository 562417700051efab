/** The metrics of people at one moment. Pure. */
import type { SessionMetricName } from './metrics.ts';

/** A pool and who is in it. */
export interface PeopleSnapshot {
  instances: readonly {
    instance: string;
    /** People may be on it: it runs. */
    reachable: boolean;
    inRotation: boolean;
    sessions: number;
    /** Names of those who have a session there. */
    connected: ReadonlySet<string>;
    /** People who are bound to it; undefined where nobody has looked yet. */
    bound: number | undefined;
  }[];
  waiting: number;
  /** People that an instance takes at most; undefined: any number. */
  usersPerInstance: number | undefined;
}

/**
 * By instance for `Active Sessions` and `Connected Users`, one number under '' for the others. `Available Seats` are the free
 * places on instances in rotation; undefined where the pool sets no limit, or where people are not known yet.
 */
export function measurePeople(
  { instances, waiting, usersPerInstance }: PeopleSnapshot,
  metric: SessionMetricName,
): ReadonlyMap<string, number> | undefined {
  const inRotation = instances.filter((one) => one.inRotation);
  switch (metric) {
    case 'Active Sessions':
      return new Map(present(instances).map(({ instance, sessions }) => [instance, sessions]));
    case 'Connected Users':
      return new Map(present(instances).map(({ instance, connected }) => [instance, connected.size]));
    case 'Users Per Instance': {
      const users = new Set(instances.flatMap(({ connected }) => [...connected])).size;
      return new Map([['', inRotation.length === 0 ? 0 : users / inRotation.length]]);
    }
    case 'Waiting Users':
      return new Map([['', waiting]]);
    case 'Available Seats': {
      if (usersPerInstance === undefined) return undefined;
      let seats = 0;
      for (const { bound } of inRotation) {
        if (bound === undefined) return undefined;
        seats += Math.max(0, usersPerInstance - bound);
      }
      return new Map([['', seats]]);
    }
  }
}

/** One that does not run has nobody: counting it would make an average smaller than what people feel. */
const present = (instances: PeopleSnapshot['instances']) =>
  instances.filter(({ reachable, sessions }) => reachable || sessions > 0);
