/**
 * Delivers notifications beside the loops, which never wait for them: each webhook and each e-mail is tried three times, with a
 * limit for each try. What cannot be delivered is told in the log and in the activity log. What waits is given up at the end of
 * control, and where too much waits already.
 */
import type { Logger } from 'pino';
import type { Config } from '../core/config.ts';
import { PoolhouseError } from '../core/errors.ts';
import type { Clock } from '../core/time.ts';
import { describeOrigin } from '../fetch/policy.ts';
import type { PostOptions } from '../fetch/fetcher.ts';
import { noteActivity } from '../store/activity-log.ts';
import type { Store } from '../store/store.ts';
import { deliveriesOf, type Delivery } from './notification-messages.ts';
import type { Notify } from './notification.ts';
import { alertDeliveries, type OperatorAlert } from './operator-alert.ts';
import type { SendMail } from './send-mail.ts';

export interface NotificationParts {
  store: Pick<Store, 'db'>;
  /** As `Fetcher.post`. */
  post: (url: string, options: PostOptions) => Promise<void>;
  /** Who is told of what an operator should know. */
  alerts?: Config['alerts'];
  /** Undefined where no SMTP server is configured. */
  sendMail: SendMail | undefined;
  clock: Clock;
  log: Logger;
  newId: () => string;
  /** Ends everything that is under way. */
  signal: AbortSignal;
  /** How long a try may take. */
  limitMs?: number;
}

export interface Notifications {
  /** Takes it, and returns at once. */
  notify: Notify;
  /** Takes what the operator is to be told, and returns at once. */
  alert: (alert: OperatorAlert) => void;
  /** Waits until nothing is under way. */
  idle(): Promise<void>;
}

/** What a notification is about. */
interface Subject {
  resourceId: string;
  operation: string;
  /** As the activity log names it, where it could not be delivered. */
  noteAs: string;
}

/** Before the second and the third try. */
const delays = [5_000, 30_000] as const;
const usualLimit = 10_000;
const mostAtOnce = 4;
const mostWaiting = 100;

export function createNotifications(parts: NotificationParts): Notifications {
  const { store, post, sendMail, clock, log, newId, signal, limitMs = usualLimit } = parts;
  const { alerts = { emails: [], webhooks: [] } } = parts;
  const waiting: (() => Promise<void>)[] = [];
  const underWay = new Set<Promise<void>>();

  async function attempt(delivery: Delivery): Promise<void> {
    const limit = AbortSignal.timeout(limitMs);
    if (delivery.by === 'webhook')
      return post(delivery.url, { contentType: 'application/json', body: delivery.body, timeoutMs: limitMs, signal });
    if (sendMail === undefined)
      throw new PoolhouseError('InvalidConfiguration', `No SMTP server is configured ('smtp' in config.json).`);
    try {
      await sendMail(delivery, AbortSignal.any([signal, limit]));
    } catch (error) {
      if (!limit.aborted || signal.aborted) throw error;
      throw new PoolhouseError('Unavailable', `The SMTP server did not take it within ${limitMs / 1_000} s.`, {
        cause: error,
      });
    }
  }

  async function deliver(about: Subject, delivery: Delivery): Promise<void> {
    for (let tries = 0; ; tries += 1) {
      try {
        await attempt(delivery);
        log.info({ about: about.resourceId, by: delivery.by, to: addressee(delivery) }, 'a notification was delivered');
        return;
      } catch (error) {
        if (signal.aborted) return;
        const delay = isFinal(error) ? undefined : delays[tries];
        if (delay === undefined) {
          await giveUp(about, delivery, error);
          return;
        }
        log.debug({ err: error, retryInMs: delay }, 'a notification could not be delivered; it is tried again');
        await clock.sleep(delay, signal);
      }
    }
  }

  async function giveUp(about: Subject, delivery: Delivery, error: unknown): Promise<void> {
    const why = error instanceof Error ? error.message : String(error);
    const message = `A notification could not be delivered by ${delivery.by} to ${addressee(delivery)}: ${why}`;
    log.warn({ err: error, about: about.resourceId }, message);
    await noteActivity(store.db, {
      ...{ id: newId(), at: clock.now(), resourceId: about.resourceId, instanceId: undefined },
      ...{ operation: about.noteAs, status: 'Failed', level: 'Warning' },
      ...{ caller: 'poolhouse', message, properties: { by: delivery.by, operation: about.operation } },
    });
  }

  function begin(work: () => Promise<void>): void {
    const done = work()
      .catch((error: unknown) => {
        if (!signal.aborted) log.error({ err: error }, 'what became of a notification could not be noted');
      })
      .finally(() => {
        underWay.delete(done);
        const next = waiting.shift();
        if (next !== undefined && !signal.aborted) begin(next);
      });
    underWay.add(done);
  }

  function take(about: Subject, deliveries: readonly Delivery[]): void {
    for (const delivery of deliveries) {
      if (signal.aborted) return;
      if (underWay.size < mostAtOnce) begin(() => deliver(about, delivery));
      else if (waiting.length < mostWaiting) waiting.push(() => deliver(about, delivery));
      else
        log.warn(
          { about: about.resourceId, by: delivery.by },
          `a notification is not delivered: ${mostWaiting} others wait already`,
        );
    }
  }

  return {
    notify(event) {
      const noteAs = 'Microsoft.Insights/AutoscaleSettings/Notify/Action';
      take({ resourceId: event.settingId, operation: event.operation, noteAs }, deliveriesOf(event));
    },
    alert(alert) {
      take(
        { resourceId: alert.resourceId, operation: alert.subject, noteAs: 'Poolhouse/alerts/notify/action' },
        alertDeliveries(alert, alerts, clock.now()),
      );
    },
    async idle() {
      while (underWay.size > 0) await Promise.all(underWay);
    },
  };
}

/** For people and logs. A webhook's address holds its secret. */
const addressee = (delivery: Delivery): string =>
  delivery.by === 'webhook' ? describeOrigin(delivery.url) : delivery.to.join(', ');

/** Trying again changes nothing. */
const isFinal = (error: unknown): boolean =>
  error instanceof PoolhouseError &&
  ['FetchNotAllowed', 'InvalidConfiguration', 'InvalidParameter'].includes(error.code);
