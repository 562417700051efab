import { describe, expect, it } from 'vitest';
import { deliveriesOf } from './notification-messages.ts';
import type { ScaleNotification } from './notification.ts';

const event: ScaleNotification = {
  operation: 'Scale Out',
  settingId: '/subscriptions/S/resourceGroups/lab/providers/microsoft.insights/autoscalesettings/rules',
  settingName: 'rules',
  resourceId: '/subscriptions/S/resourceGroups/lab/providers/Microsoft.Compute/virtualMachineScaleSets/team',
  at: Date.UTC(2026, 2, 3, 12),
  oldCapacity: 1,
  newCapacity: 3,
  details: 'Percentage CPU was 90 over 5 minutes.',
  notifications: [],
};

describe('what is told of a change of capacity', () => {
  it('has the form of Azure for a webhook, with the properties that the setting gives it', () => {
    const [delivery, ...others] = deliveriesOf({
      ...event,
      notifications: [
        { operation: 'Scale', webhooks: [{ serviceUri: 'https://a.example/hook?t=1', properties: { team: 'ml' } }] },
      ],
    });
    expect(others).toEqual([]);
    if (delivery?.by !== 'webhook') throw new Error('a webhook is expected');
    expect(delivery.url).toBe('https://a.example/hook?t=1');
    expect(JSON.parse(delivery.body)).toEqual({
      version: '1.0',
      status: 'Activated',
      operation: 'Scale Out',
      context: {
        timestamp: '2026-03-03T12:00:00.000Z',
        id: event.settingId,
        name: 'rules',
        details: 'Percentage CPU was 90 over 5 minutes.',
        subscriptionId: 'S',
        resourceGroupName: 'lab',
        resourceName: 'team',
        resourceType: 'microsoft.compute/virtualmachinescalesets',
        resourceId: event.resourceId,
        portalLink: '',
        oldCapacity: '1',
        newCapacity: '3',
      },
      properties: { team: 'ml' },
    });
  });

  it('is one e-mail to all addresses of a notification', () => {
    const notifications = [
      { Email: { sendToSubscriptionAdministrator: true, customEmails: ['a@x.example', 'b@x.example'] } },
    ];
    expect(deliveriesOf({ ...event, notifications })).toEqual([
      {
        ...{ by: 'e-mail', to: ['a@x.example', 'b@x.example'], subject: 'Scale Out: team from 1 to 3' },
        text: expect.stringContaining('Percentage CPU was 90 over 5 minutes.') as unknown,
      },
    ]);
  });

  it.each([
    ['nothing', {}],
    ['nulls, as templates have them', { email: null, webhooks: null }],
    ['empty lists', { email: { sendToSubscriptionAdministrator: true, customEmails: [] }, webhooks: [] }],
    ['an empty address', { email: { customEmails: [''] }, webhooks: [{ serviceUri: '', properties: {} }] }],
  ])('is told to nobody where a notification names %s', (_what, notification) => {
    expect(deliveriesOf({ ...event, notifications: [notification] })).toEqual([]);
  });
});
