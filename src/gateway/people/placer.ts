/**
 * Finds the instance for somebody who has signed in. Control decides; while it is away, the gateway does, by the same rule
 * from what it last knew: new sessions come in all the same, and who has a session goes where that is, also where another
 * gateway carries it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { placementAnswerSchema, waitingText, type PlacementAnswer, type PlacementQuestion } from '../../link/people.ts';
import type { Route } from '../../link/routes.ts';
import type { Places } from '../../link/gateway-words.ts';
import { place } from '../../pool/placement.ts';
import type { LinkClient } from '../link-request.ts';
import type { Siblings } from '../siblings.ts';
import type { SessionLedger } from './session-ledger.ts';

export interface PlaceRequest {
  ticket: string;
  route: Route & { pool: string };
  user: string;
  /** Instances that did not answer just now: asked for again while somebody waits. */
  unusable: () => readonly string[];
  /** What is told to who waits, each time that it changes. */
  onWaiting: (words: string) => void;
}

export interface PlacerOptions {
  client: LinkClient;
  isHealthy: (probe: Route['probe'], instance: string) => boolean;
  /** The people of this gateway by instance, and where one of them is. */
  sessions: Pick<SessionLedger, 'whereIs' | 'users'>;
  siblings: Pick<Siblings, 'placesOf'>;
  /** How long somebody waits at most. */
  waitMs?: number;
  /** Between two tries of a control that is away. */
  retryMs?: number;
}

export type Placed = { outcome: 'placed'; instance: string } | { outcome: 'refused'; message: string };

/** Longer than control holds a question. */
const questionLimit = 30_000;

export interface Placer {
  /** Rejects with the signal's reason only. */
  place(request: PlaceRequest, signal: AbortSignal): Promise<Placed>;
}

export interface RememberingPlacer extends Placer {
  /** Where somebody was sent last. */
  sentTo(pool: string, user: string): string | undefined;
}

/** Where somebody is bound to, by what all gateways know: a session counts more than where they were sent once. Pure. */
export function bindingAmong(places: readonly Pick<Places, 'session' | 'sentTo'>[]): string | undefined {
  return (
    places.find(({ session }) => session !== undefined)?.session ??
    places.find(({ sentTo }) => sentTo !== undefined)?.sentTo
  );
}

export function createPlacer(options: PlacerOptions): RememberingPlacer {
  const { client, isHealthy, sessions, siblings, waitMs = 5 * 60_000, retryMs = 1_000 } = options;
  /** Where control placed people last: they go there again when it is away. */
  const remembered = new Map<string, string>();

  function remember(pool: string, user: string, instance: string): void {
    const key = `${pool}\n${user}`;
    remembered.delete(key);
    remembered.set(key, instance);
    for (const oldest of remembered.keys()) {
      if (remembered.size <= 50_000) break;
      remembered.delete(oldest);
    }
  }

  async function ask(question: PlacementQuestion, signal: AbortSignal): Promise<PlacementAnswer | undefined> {
    try {
      const answer = await client.send('POST', '/v1/placements', { body: question, limitMs: questionLimit, signal });
      if (answer.status === 200) return placementAnswerSchema.parse(answer.body);
      if (answer.status === 429)
        return { outcome: 'refused', message: 'Too many people wait for this pool. Try again later.' };
      return undefined;
    } catch {
      signal.throwIfAborted();
      return undefined;
    }
  }

  /** What control would say, as far as can be known here. */
  async function decideHere({ route, user, unusable }: PlaceRequest): Promise<string | undefined> {
    const away = unusable();
    const own = {
      session: sessions.whereIs(route.pool, user),
      sentTo: remembered.get(`${route.pool}\n${user}`),
      users: sessions.users(),
    };
    const all = [own, ...(await siblings.placesOf(route.pool, user))];
    const boundTo = bindingAmong(all);
    const decision = place(
      { boundTo, sessions: 0 },
      route.backends.map(({ instance, accepting }) => ({
        instance,
        reachable: !away.includes(instance),
        inRotation: accepting && !away.includes(instance) && isHealthy(route.probe, instance),
        users: all.reduce((sum, { users }) => sum + (users[instance] ?? 0), 0),
      })),
      { prefer: 'fewest-users' },
    );
    return decision.outcome === 'placed' ? decision.instance : undefined;
  }

  return {
    sentTo: (pool, user) => remembered.get(`${pool}\n${user}`),
    async place(request, signal) {
      const { ticket, route, user, unusable, onWaiting } = request;
      const deadline = Date.now() + waitMs;
      let told: string | undefined;
      const tell = (words: string): void => {
        if (words === told) return;
        told = words;
        onWaiting(words);
      };
      while (Date.now() < deadline) {
        const question = {
          ticket,
          pool: route.pool,
          user,
          unusable: [...unusable()],
          ...(told === undefined ? {} : { told }),
        };
        const answer = await ask(question, signal);
        if (answer === undefined) {
          const instance = await decideHere(request);
          if (instance !== undefined) {
            remember(route.pool, user, instance);
            return { outcome: 'placed', instance };
          }
          tell('No machine is available, and none can be asked for at this moment.');
          await sleep(retryMs, undefined, { signal });
          continue;
        }
        if (answer.outcome === 'refused') return answer;
        if (answer.outcome === 'placed') {
          remember(route.pool, user, answer.instance);
          if (answer.notice !== undefined) tell(answer.notice);
          return { outcome: 'placed', instance: answer.instance };
        }
        tell(waitingText(answer));
      }
      return {
        outcome: 'refused',
        message: 'No machine became available in time. Try again later, or ask who runs this pool.',
      };
    },
  };
}
