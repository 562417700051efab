/**
 * The activity log as Azure's clients ask for it, and as they are answered
 * (https://learn.microsoft.com/rest/api/monitor/activity-logs/list,
 * https://learn.microsoft.com/azure/azure-monitor/platform/activity-log-schema). Pure.
 */
import { PoolhouseError } from '../../core/errors.ts';
import { textOf, type JsonObject } from '../../core/json.ts';
import { formatResourceId, groupId, tryParseResourceId } from '../../core/resource-id.ts';
import type { EpochMillis } from '../../core/time.ts';
import type { Activity, ActivityFilter } from '../../store/activity-log.ts';
import { readTime } from './read-time.ts';

/** What the store looks for, and what of it fits. */
export type ActivityQuery = ActivityFilter & { fits: (activity: Activity) => boolean };

const fields = ['resourceGroupName', 'resourceUri', 'resourceId', 'resourceProvider', 'correlationId', 'caller', 'status', 'eventChannels'] as const; // prettier-ignore
const instanceWord = '/virtualmachines/';

/**
 * Reads `eventTimestamp ge '…' and eventTimestamp le '…' and resourceUri eq '…'`; without a beginning it is `usualFrom`.
 * `BadRequest` for what is not understood: showing all would be a lie.
 */
export function readActivityFilter(
  filter: string | undefined,
  subscriptionId: string,
  usualFrom: EpochMillis,
): ActivityQuery {
  const query: ActivityFilter = { from: usualFrom };
  const tests: ((activity: Activity) => boolean)[] = [];
  for (const { field, operator, value } of clausesOf(filter ?? '')) {
    if (field === 'eventTimestamp') {
      if (operator === 'ge') query.from = readTime(value, 'The eventTimestamp');
      else query.to = readTime(value, 'The eventTimestamp');
      continue;
    }
    const wanted = value.toLowerCase();
    switch (field) {
      case 'resourceGroupName':
        query.under = groupId(subscriptionId, value);
        break;
      case 'resourceUri':
      case 'resourceId':
        Object.assign(query, resourceFilter(value));
        break;
      case 'resourceProvider':
        tests.push((one) => tryParseResourceId(one.resourceId)?.type.toLowerCase().split('/')[0] === wanted);
        break;
      case 'correlationId':
        tests.push((one) => one.id.toLowerCase() === wanted);
        break;
      case 'caller':
        tests.push((one) => one.caller.toLowerCase() === wanted);
        break;
      case 'status':
        tests.push((one) => one.status.toLowerCase() === wanted);
        break;
      case 'eventChannels':
        break; // all of ours are in the channel Operation, which every client asks for
    }
  }
  return { ...query, fits: (activity) => tests.every((test) => test(activity)) };
}

/** An instance is noted with its scale set, by its number. */
function resourceFilter(id: string): Pick<ActivityFilter, 'resourceId' | 'instanceId'> {
  const at = id.toLowerCase().lastIndexOf(instanceWord);
  const number = at < 0 ? '' : id.slice(at + instanceWord.length).replace(/\/$/, '');
  if (!/^\d{1,9}$/.test(number)) return { resourceId: id.replace(/\/$/, '') };
  return { resourceId: id.slice(0, at), instanceId: Number(number) };
}

interface Clause {
  field: 'eventTimestamp' | (typeof fields)[number];
  operator: 'ge' | 'le' | 'eq';
  value: string;
}

function clausesOf(filter: string): Clause[] {
  const clauses: Clause[] = [];
  // az writes times without quotes.
  const pattern = /\s*(\w+)\s+(ge|le|eq)\s+(?:'((?:[^']|'')*)'|(\S+))\s*(and\s|$)/iy;
  while (pattern.lastIndex < filter.length) {
    const [, name = '', operator = '', quoted, bare = ''] = pattern.exec(filter) ?? [];
    const isTime = name.toLowerCase() === 'eventtimestamp';
    const field = isTime ? 'eventTimestamp' : fields.find((one) => one.toLowerCase() === name.toLowerCase());
    if (field === undefined || (operator.toLowerCase() === 'eq') === isTime)
      throw new PoolhouseError(
        'BadRequest',
        `The filter '${filter.slice(0, 200)}' is not understood: eventTimestamp with ge and le, and ${fields.join(', ')} with eq and a text in quotes, joined by and, are.`,
      );
    const value = quoted?.replaceAll("''", "'") ?? bare;
    clauses.push({ field, operator: operator.toLowerCase() as Clause['operator'], value }); // one that the pattern knows
  }
  return clauses;
}

const told = (value: string): JsonObject => ({ value, localizedValue: value });
/** From 0001 to 1970, in the ticks of 100 ns that Azure's event ids hold. */
const ticksBefore1970 = 621_355_968_000_000_000n;

/** An event in Azure's shape. */
export function presentActivity(
  activity: Activity,
  { subscriptionId, tenantId }: { subscriptionId: string; tenantId: string },
): JsonObject {
  const { id, at, operation, status, level, caller, message, properties } = activity;
  const path = tryParseResourceId(activity.resourceId);
  const isInstance = activity.instanceId !== undefined && path !== undefined;
  const resourceId = isInstance
    ? formatResourceId({
        ...path,
        type: `${path.type}/virtualMachines`,
        names: [...path.names, String(activity.instanceId)],
      })
    : activity.resourceId;
  const type = path === undefined ? '' : `${path.type}${isInstance ? '/virtualMachines' : ''}`;
  const time = new Date(at).toISOString();
  const isAutoscale = operation.toLowerCase().startsWith('microsoft.insights/autoscalesettings/');
  return {
    authorization: { action: operation, scope: resourceId },
    caller,
    channels: 'Operation',
    claims: {},
    correlationId: id,
    description: message,
    eventDataId: id,
    eventName: told(status === 'Started' ? 'BeginRequest' : 'EndRequest'),
    category: told(isAutoscale ? 'Autoscale' : 'Administrative'),
    eventTimestamp: time,
    id: `${resourceId}/events/${id}/ticks/${ticksBefore1970 + BigInt(Math.round(at)) * 10_000n}`,
    level,
    operationId: id,
    operationName: told(operation),
    resourceGroupName: path?.resourceGroup ?? '',
    resourceProviderName: told(type.split('/')[0] ?? ''),
    resourceType: told(type),
    resourceId,
    status: told(status),
    subStatus: told(''),
    submissionTimestamp: time,
    subscriptionId,
    tenantId,
    // Texts, as Azure's are.
    properties: Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, textOf(value)])),
  };
}
