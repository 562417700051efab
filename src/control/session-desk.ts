/** Sessions for the operator: which there are, and orders about those that are chosen. */
import { z } from 'zod';
import { PoolhouseError } from '../core/errors.ts';
import { poolNameOf } from '../providers/identity/pool-names.ts';
import { findInstances } from '../store/instance-records.ts';
import { findResources } from '../store/resource-records.ts';
import { chooseSessions, type SessionChoice, type SessionDocument } from './choose-sessions.ts';
import type { SessionOrders } from './session-orders.ts';
import type { World } from './world.ts';

const longestText = 1_000;
// A line that could move the cursor of somebody's terminal is none.
const lineSchema = z
  .string()
  .min(1)
  .max(longestText)
  .regex(/^\P{C}+$/u);
const choiceSchema = z.strictObject({
  id: z.string().optional(),
  user: z.string().optional(),
  pool: z.string().optional(),
  instance: z.string().optional(),
});
/** Of sessions that are chosen: at least one thing, so that nobody ends all by a slip. */
const requestSchema = z.strictObject({
  choice: choiceSchema.refine((choice) => Object.keys(choice).length > 0),
  message: lineSchema.optional(),
  end: z.strictObject({ reason: lineSchema.optional() }).optional(),
});

export interface SessionDesk {
  list(choice: SessionChoice): Promise<SessionDocument[]>;
  /** Carries out a request as it came; the sessions that it was about. `InvalidParameter` says what is wrong with it. */
  order(request: unknown): Promise<SessionDocument[]>;
}

export function createSessionDesk(
  { store, reports, log }: Pick<World, 'store' | 'reports' | 'log'>,
  orders: Pick<SessionOrders, 'give'>,
): SessionDesk {
  async function list(choice: SessionChoice): Promise<SessionDocument[]> {
    const instances = new Map((await findInstances(store.db)).map((instance) => [instance.name, instance]));
    const pools = await findResources(store.db, { type: 'Microsoft.Compute/virtualMachineScaleSets' });
    const documents = reports
      .sessions()
      .toSorted((one, other) => one.since - other.since)
      .map(({ id, user, pool, instance, protocol, since, client }): SessionDocument => {
        const drainsUntil = instances.get(instance)?.state.draining?.until;
        return {
          ...{ id, user, pool: poolNameOf(pool), instance: instances.get(instance)?.hostname ?? instance, protocol },
          since: new Date(since).toISOString(),
          from: client,
          drainsUntil: drainsUntil === undefined ? null : new Date(drainsUntil).toISOString(),
        };
      });
    const hostnames = [...instances.values()].map(({ hostname }) => hostname);
    return chooseSessions(
      documents,
      { pools: pools.map(({ id }) => poolNameOf(id)).toSorted(), instances: hostnames },
      choice,
    );
  }

  return {
    list,
    async order(request) {
      const asked = requestSchema.safeParse(request);
      if (!asked.success)
        throw new PoolhouseError(
          'InvalidParameter',
          `Name the sessions, and one line of at most ${String(longestText)} characters: ${z.prettifyError(asked.error)}`,
        );
      const { choice, message, end } = asked.data;
      const chosen = await list(choice);
      orders.give(
        chosen.map(({ id }) => ({
          session: id,
          ...(message === undefined ? {} : { message: `Message from who runs this pool: ${message}` }),
          ...(end === undefined ? {} : { end: describeEnd(end.reason) }),
        })),
      );
      for (const { id, user, pool, instance } of chosen)
        log.info(
          { audit: end === undefined ? 'message' : 'session ended', session: id, user, pool, instance },
          end === undefined ? 'somebody is told something' : 'the operator ends a session',
        );
      return chosen;
    },
  };
}

function describeEnd(reason: string | undefined): string {
  return `Who runs this pool has ended your session${reason === undefined ? '.' : `: ${reason}`}`;
}
