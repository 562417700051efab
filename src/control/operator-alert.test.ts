import { expect, it } from 'vitest';
import type { ResourceId } from '../core/resource-id.ts';
import { alertDeliveries } from './operator-alert.ts';

const alert = { resourceId: '/x' as ResourceId, subject: 'It is full', text: 'Make it larger.' };

it('goes to each webhook, and to all addresses at once', () => {
  expect(alertDeliveries(alert, { webhooks: [], emails: [] }, 0)).toEqual([]);
  const [hook, mail] = alertDeliveries(alert, { webhooks: ['https://hook/'], emails: ['a@b', 'c@d'] }, 0);
  expect(hook).toMatchObject({ by: 'webhook', url: 'https://hook/' });
  expect(hook?.by === 'webhook' ? JSON.parse(hook.body) : undefined).toMatchObject({
    ...{ at: '1970-01-01T00:00:00.000Z', resourceId: '/x', subject: 'It is full', text: 'Make it larger.' },
  });
  expect(mail).toEqual({
    ...{ by: 'e-mail', to: ['a@b', 'c@d'], subject: 'Poolhouse: It is full' },
    text: 'Make it larger.\n\n/x\n',
  });
});
