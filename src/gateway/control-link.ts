/**
 * The gateway's conversations with control: it asks for the routing table, for the directory of people and for
 * orders about sessions (long polls that never end), and tells what it sees and which sign-ins have ended. Control may be away for any time; nothing here stops the gateway from serving.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock, EpochMillis } from '../core/time.ts';
import type { ZodType } from 'zod';
import { keepEnded, mostEndedAtOnce, type EndedSignIn } from '../link/ended-sign-ins.ts';
import { directorySchema, type Directory } from '../link/people.ts';
import { orderListSchema, type OrderList } from '../link/orders.ts';
import { routingTableSchema } from '../link/routes.ts';
import type { Report, RoutingTable } from '../link/routes.ts';
import type { LinkClient } from './link-request.ts';
import type { GatewayLog } from './protocol.ts';

export interface ControlLinkOptions {
  client: LinkClient;
  clock: Clock;
  log: GatewayLog;
  onTable: (table: RoutingTable) => void;
  onDirectory: (directory: Directory) => void;
  onOrders: (orders: OrderList) => void;
  report: () => Report;
  /** Between two reports at least. */
  reportGapMs?: number;
  /** Between two reports at most. */
  reportEveryMs?: number;
  /** After the first failure; doubles up to `maxRetryMs`. */
  retryMs?: number;
  maxRetryMs?: number;
}

/** What the gateway knows of control. */
export interface ControlContact {
  /** False from the first question that was not answered until one is. */
  up: boolean;
  /** When control answered last; undefined where it never has. */
  answeredAt: EpochMillis | undefined;
  /** Why the last question was not answered. */
  failure: string | undefined;
}

export interface ControlLink {
  /** Runs all conversations until the signal aborts. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
  /** There is something new to report. */
  changed(): void;
  /** A sign-in has ended: control is told, again and again until it has understood. */
  signInEnded(ended: EndedSignIn): void;
  contact(): ControlContact;
}

/** Longer than control holds a poll. */
const pollLimitMs = 60_000;
const reportLimitMs = 10_000;
const lastWordMs = 1_000;

export function createControlLink(options: ControlLinkOptions): ControlLink {
  const { client, clock, log, report } = options;
  const { reportGapMs = 100, reportEveryMs = 5000, retryMs = 250, maxRetryMs = 5000 } = options;
  let dirty: PromiseWithResolvers<void> = Promise.withResolvers();
  let untold: EndedSignIn[] = [];
  let hasEnded: PromiseWithResolvers<void> = Promise.withResolvers();
  let answeredAt: EpochMillis | undefined;
  /** By conversation: why it stands still. */
  const failures = new Map<string, string>();

  /** Repeats `once` until the signal aborts, with a growing delay after failures. Says once when control went away, and when it came back. */
  async function repeat(what: string, signal: AbortSignal, once: () => Promise<void>): Promise<void> {
    let delay = retryMs;
    let away = false;
    const stopped = (): boolean => signal.aborted;
    while (!stopped()) {
      try {
        await once();
        failures.delete(what);
        if (away) log.info({}, `${what}: control is back`);
        away = false;
        delay = retryMs;
      } catch (error) {
        if (stopped()) return;
        failures.set(what, error instanceof Error ? error.message : 'it failed');
        if (!away) log.warn({ err: error }, `${what}: control is away; serving with what is known`);
        away = true;
        await pause(delay, signal);
        delay = Math.min(delay * 2, maxRetryMs);
      }
    }
  }

  /** Takes what control publishes at a path, again and again. */
  async function poll<T extends { revision: number | string }>(
    what: string,
    address: string,
    schema: ZodType<T>,
    take: (next: T) => void,
    signal: AbortSignal,
  ): Promise<void> {
    // Control is the truth: the first question of a process asks for all of it whatever was known from before.
    let revision: T['revision'] | undefined;
    await repeat(what, signal, async () => {
      const path = revision === undefined ? address : `${address}?after=${encodeURIComponent(revision)}`;
      const answer = await client.send('GET', path, { limitMs: pollLimitMs, signal });
      answeredAt = clock.now();
      if (answer.status === 204) return;
      if (answer.status !== 200) throw new Error(`control answered ${path} with ${String(answer.status)}`);
      const next = schema.parse(answer.body);
      take(next);
      revision = next.revision;
    });
  }

  async function tell(signal: AbortSignal): Promise<void> {
    await repeat('reports', signal, async () => {
      dirty = Promise.withResolvers();
      const answer = await client.send('POST', '/v1/reports', { body: report(), limitMs: reportLimitMs, signal });
      answeredAt = clock.now();
      if (answer.status >= 300) throw new Error(`control answered a report with ${String(answer.status)}`);
      await pause(reportGapMs, signal);
      const quiet = new AbortController();
      await Promise.race([dirty.promise, pause(reportEveryMs - reportGapMs, AbortSignal.any([signal, quiet.signal]))]);
      quiet.abort();
    });
  }

  async function sendEnded(signal: AbortSignal): Promise<void> {
    const ended = untold.slice(0, mostEndedAtOnce);
    const answer = await client.send('POST', '/v1/ended-sign-ins', {
      body: { ended },
      limitMs: reportLimitMs,
      signal,
    });
    answeredAt = clock.now();
    // What control does not understand it never will, and nothing else may wait for that.
    if (answer.status === 400) log.error({ ended: ended.length }, 'control does not take sign-ins that have ended');
    else if (answer.status >= 300) throw new Error(`control answered ended sign-ins with ${String(answer.status)}`);
    const told = new Set(ended);
    untold = untold.filter((one) => !told.has(one));
  }

  async function tellEnded(signal: AbortSignal): Promise<void> {
    const stop = (): void => {
      hasEnded.resolve();
    };
    signal.addEventListener('abort', stop, { once: true });
    await repeat('ended sign-ins', signal, async () => {
      if (untold.length > 0) await sendEnded(signal);
      else {
        hasEnded = Promise.withResolvers();
        await hasEnded.promise;
      }
    });
    // What was said while we stop is forgotten with us.
    if (untold.length > 0) await sendEnded(AbortSignal.timeout(lastWordMs)).catch(() => undefined);
  }

  return {
    async run(signal) {
      await Promise.all([
        poll('routing table', '/v1/routes', routingTableSchema, options.onTable, signal),
        poll('directory', '/v1/directory', directorySchema, options.onDirectory, signal),
        poll('orders', '/v1/orders', orderListSchema, options.onOrders, signal),
        tell(signal),
        tellEnded(signal),
      ]);
    },
    changed: () => {
      dirty.resolve();
    },
    signInEnded(ended) {
      untold = keepEnded([...untold, ended], clock.now());
      hasEnded.resolve();
    },
    contact: () => ({
      up: answeredAt !== undefined && failures.size === 0,
      answeredAt,
      failure: [...failures.values()][0],
    }),
  };
}

/** Waits, or stops waiting when the signal aborts. */
async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}
