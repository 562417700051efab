/**
 * What a notification says, and to whom: the webhooks and e-mail addresses in an autoscale setting, and the body in Azure's form
 * (https://learn.microsoft.com/azure/azure-monitor/autoscale/autoscale-webhook-email). Pure.
 */
import { dig, isObject, textOf, type Json, type JsonObject } from '../core/json.ts';
import { tryParseResourceId } from '../core/resource-id.ts';
import type { ScaleNotification } from './notification.ts';

export type Delivery =
  { by: 'webhook'; url: string; body: string } | { by: 'e-mail'; to: readonly string[]; subject: string; text: string };

/**
 * One delivery a webhook, and one a list of addresses. `sendToSubscriptionAdministrator` and its like say nothing: an installation
 * has no administrators that it could write to, and Azure writes to them no longer.
 */
export function deliveriesOf(event: ScaleNotification): Delivery[] {
  return event.notifications.flatMap((notification): Delivery[] => {
    const webhooks = listAt(notification, 'webhooks').flatMap((webhook): Delivery[] => {
      const url = textOf(dig(webhook, 'serviceUri'));
      if (url === '') return [];
      return [{ by: 'webhook', url, body: JSON.stringify(webhookBody(event, dig(webhook, 'properties'))) }];
    });
    const to = listAt(notification, 'email', 'customEmails')
      .map(textOf)
      .filter((address) => address !== '');
    return to.length === 0 ? webhooks : [...webhooks, { by: 'e-mail', to, ...mailOf(event) }];
  });
}

const listAt = (value: JsonObject, ...path: string[]): Json[] => {
  const found = dig(value, ...path);
  return Array.isArray(found) ? found : [];
};

function webhookBody(event: ScaleNotification, properties: Json | undefined): JsonObject {
  const path = tryParseResourceId(event.resourceId);
  return {
    version: '1.0',
    status: 'Activated',
    operation: event.operation,
    context: {
      timestamp: new Date(event.at).toISOString(),
      id: event.settingId,
      name: event.settingName,
      details: event.details,
      subscriptionId: path?.subscriptionId ?? '',
      resourceGroupName: path?.resourceGroup ?? '',
      resourceName: path?.names.at(-1) ?? '',
      resourceType: (path?.type ?? '').toLowerCase(),
      resourceId: event.resourceId,
      portalLink: '',
      oldCapacity: String(event.oldCapacity),
      newCapacity: String(event.newCapacity),
    },
    properties: isObject(properties) ? properties : {},
  };
}

function mailOf(event: ScaleNotification): { subject: string; text: string } {
  const name = tryParseResourceId(event.resourceId)?.names.at(-1) ?? event.resourceId;
  const change = `from ${event.oldCapacity} to ${event.newCapacity}`;
  return {
    subject: `${event.operation}: ${name} ${change}`,
    text: [
      event.details,
      '',
      `Capacity:  ${change}`,
      `Scale set: ${event.resourceId}`,
      `Setting:   ${event.settingId}`,
      `Time:      ${new Date(event.at).toISOString()}`,
      '',
    ].join('\n'),
  };
}
