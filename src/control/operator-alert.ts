/** What the operator is told wherever they are: by the e-mail addresses and webhooks of `alerts` in config.json. */
import type { ResourceId } from '../core/resource-id.ts';
import type { Config } from '../core/config.ts';
import type { EpochMillis } from '../core/time.ts';
import type { Delivery } from './notification-messages.ts';

export interface OperatorAlert {
  resourceId: ResourceId;
  /** One line. */
  subject: string;
  /** What it is, and what to do. */
  text: string;
}

/** One delivery a webhook, and one for all addresses. Pure. */
export function alertDeliveries(alert: OperatorAlert, to: Config['alerts'], at: EpochMillis): Delivery[] {
  const { resourceId, subject, text } = alert;
  const body = JSON.stringify({ version: '1.0', at: new Date(at).toISOString(), resourceId, subject, text });
  return [
    ...to.webhooks.map((url): Delivery => ({ by: 'webhook', url, body })),
    ...(to.emails.length === 0
      ? []
      : [
          {
            by: 'e-mail',
            to: to.emails,
            subject: `Poolhouse: ${subject}`,
            text: `${text}\n\n${resourceId}\n`,
          } as const,
        ]),
  ];
}
