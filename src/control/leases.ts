/**
 * Leases: somebody keeps the machine that they are on until a time, though nothing of theirs runs there. They bind as a
 * session does, and nobody who has one counts as idle. An operator's own drain goes before them.
 */
import type { Clock } from '../core/time.ts';
import type { KeepAnswer, KeepQuestion } from '../link/people.ts';
import { drainCause } from '../pool/instance-state.ts';
import { readLeaseEnd } from '../pool/lease.ts';
import { readPoolTags } from '../providers/compute/pool-tags.ts';
import { findInstances } from '../store/instance-records.ts';
import { findLease, findLeases, forgetLease, removeLease, saveLease } from '../store/leases.ts';
import { findResource, type ResourceRecord } from '../store/resource-records.ts';
import type { Store } from '../store/store.ts';
import type { Presence } from './bindings.ts';
import type { Placements } from './placements.ts';
import { automaticChange } from './scale-automatically.ts';

export interface Leases {
  /** What counts now. One whose time is over, or whose instance is none of these any more, is forgotten. */
  current: (instances: { has(name: string): boolean }) => Promise<Presence[]>;
  /** Somebody who has signed in asks for a lease, about it, or gives it up. */
  keep: (question: KeepQuestion) => Promise<KeepAnswer>;
}

export interface LeasesParts {
  store: Store;
  clock: Pick<Clock, 'now'>;
  placements: Pick<Placements, 'bindings'>;
  log: { info(details: object, message: string): void };
}

const hour = 3_600_000;
const usage = `'ssh POOL keep 2h' or 'ssh POOL keep --until 18:00' keeps your machine, also when you have left.`;

export function createLeases({ store, clock, placements, log }: LeasesParts): Leases {
  async function hostnameOf(instance: string) {
    const found = (await findInstances(store.db)).find(({ name }) => name === instance);
    const isForRule = found !== undefined && drainCause(found.state) === 'scale-in';
    return { hostname: found?.hostname ?? instance, drainsUntil: found?.state.draining?.until, isForRule };
  }

  async function tell(set: ResourceRecord, user: string): Promise<KeepAnswer> {
    const pool = set.key;
    const lease = await findLease(store.db, pool, user);
    if (lease === undefined || lease.until <= clock.now())
      return done(`Nothing is kept for you beyond what runs. ${usage}`);
    const { hostname, drainsUntil, isForRule } = await hostnameOf(lease.instance);
    const goes =
      drainsUntil === undefined
        ? ''
        : automaticChange(set) === undefined || !isForRule
          ? ` It is being taken away all the same, at ${timeOf(drainsUntil)}.`
          : ' It was to be taken away because nobody worked there: it stays.';
    return done(`${hostname} is kept for you until ${timeOf(lease.until)}.${goes}`);
  }

  return {
    async current(instances) {
      const leases = await findLeases(store.db);
      const now = clock.now();
      const isOver = ({ until, instance }: (typeof leases)[number]) => until <= now || !instances.has(instance);
      for (const lease of leases.filter(isOver)) await forgetLease(store.db, lease);
      return leases
        .filter((lease) => !isOver(lease))
        .map(({ pool, user, instance }) => ({ pool, user, instance, activeAt: 0, kept: true }));
    },

    async keep({ pool, user, until: text }) {
      const set = await findResource(store.db, pool);
      if (set === undefined) return refused('There is no such pool any more.');
      if (text === undefined) return tell(set, user);
      if (text === 'off') {
        await removeLease(store.db, { pool, user });
        log.info({ audit: 'lease ends', pool, user }, 'a machine is not kept any more');
        return done('Nothing is kept for you any more beyond what runs.');
      }
      const now = clock.now();
      const until = readLeaseEnd(text, now);
      if (until === undefined) return refused(`'${text}' is no time. ${usage}`);
      const { keepHours } = readPoolTags(set.document);
      if (keepHours === 0) return refused('This pool keeps no machine for anybody: its operator has said so.');
      if (until > now + keepHours * hour)
        return refused(
          `A machine of this pool is kept for ${keepHours} hour${keepHours === 1 ? '' : 's'} at most: until ${timeOf(now + keepHours * hour)}.`,
        );
      const bound = [...placements.bindings()].find((binding) => binding.pool === pool && binding.user === user);
      if (bound === undefined)
        return refused('You are on no machine of this pool, so there is none to keep. Come in first.');
      await saveLease(store.db, { pool, user, instance: bound.instance, until });
      log.info(
        { audit: 'lease begins', pool, user, instance: bound.instance, until },
        'a machine is kept for somebody',
      );
      return tell(set, user);
    },
  };
}

/** As this machine's clock shows it. */
const timeOf = (at: number): string =>
  new Intl.DateTimeFormat('en-GB', {
    ...{ weekday: 'short', day: 'numeric', month: 'short' },
    ...{ hour: '2-digit', minute: '2-digit', timeZoneName: 'short' },
  }).format(at);

const done = (message: string): KeepAnswer => ({ outcome: 'done', message });
const refused = (message: string): KeepAnswer => ({ outcome: 'refused', message });
