/** Autoscale settings as clients meet them: with the bodies that az sends, on a real store. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { PoolhouseError } from '../../core/errors.ts';
import { dig, type Json, type JsonObject } from '../../core/json.ts';
import type { ResourceId } from '../../core/resource-id.ts';
import { openKeyring } from '../../secrets/keyring.ts';
import { createSecrets } from '../../secrets/secrets.ts';
import { openStore, type Store } from '../../store/store.ts';
import { allTypes } from '../all-types.ts';
import { createResourceService, type InnerResourceService } from '../create-resource-service.ts';
import { createRegistry } from '../resource-type.ts';
import { readAutoscaleSetting } from './autoscale-setting-model.ts';
import { findAutoscaleSettings } from './autoscale-settings.ts';

const subscriptionId = '00000000-0000-4000-8000-000000000001';
const group = `/subscriptions/${subscriptionId}/resourceGroups/team` as ResourceId;
const thing = (type: string, name: string) => `${group}/providers/${type}/${name}` as ResourceId;
const set = thing('Microsoft.Compute/virtualMachineScaleSets', 'pool');
/** As az writes the type. */
const setting = thing('microsoft.insights/autoscalesettings', 'pool');

/** `az monitor autoscale rule create --condition "Percentage CPU > 75 avg 5m" --scale out 2` */
const rule = (trigger: JsonObject = {}, action: JsonObject = {}): JsonObject => ({
  metricTrigger: {
    ...{ metricName: 'Percentage CPU', metricNamespace: '', metricResourceUri: set, timeGrain: 'PT1M' },
    ...{ statistic: 'Average', timeWindow: 'PT5M', timeAggregation: 'Average', operator: 'GreaterThan', threshold: 75 },
    ...{ dimensions: [], ...trigger },
  },
  scaleAction: { direction: 'Increase', type: 'ChangeCount', value: '2', cooldown: 'PT5M', ...action },
});
const inward = rule({ operator: 'LessThan', threshold: 25 }, { direction: 'Decrease', value: '1' });
const profile = (more: JsonObject = {}): JsonObject => ({
  ...{ name: 'default', capacity: { minimum: '1', maximum: '5', default: '2' }, rules: [rule(), inward], ...more },
});
/** `az monitor autoscale create` and `rule create` */
const body = (properties: JsonObject = {}): JsonObject => ({
  location: 'westeurope',
  properties: {
    profiles: [profile()],
    notifications: [
      {
        operation: 'Scale',
        email: {
          sendToSubscriptionAdministrator: false,
          sendToSubscriptionCoAdministrators: false,
          customEmails: ['team@example.org'],
        },
        webhooks: [{ serviceUri: 'https://example.org/hook', properties: {} }],
      },
    ],
    ...{ enabled: true, name: 'pool', targetResourceUri: set, ...properties },
  },
});

describe('autoscale settings', { timeout: 60_000 }, () => {
  let folder: string;
  let store: Store;
  let service: InnerResourceService;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'poolhouse-autoscale-settings-'));
    store = await openStore(join(folder, 'store.sqlite'));
    const secrets = createSecrets((await openKeyring(store, [Buffer.alloc(32, 7)], 1)).keyring);
    let made = 0;
    service = createResourceService({
      ...{ store, secrets, changed: () => undefined },
      registry: createRegistry(
        allTypes({
          live: { instance: () => undefined },
          addresses: { candidates: [], domain: 'internal' },
          deployments: {
            fetch: () => Promise.reject(new Error('nothing is fetched')),
            subscription: { subscriptionId, tenantId: subscriptionId, displayName: 'test' },
            check: () => Promise.resolve(),
          },
        }),
      ),
      subscription: { subscriptionId, tenantId: subscriptionId, displayName: 'test' },
      surroundings: { engine: { real: false, memoryBytes: 2 ** 40, cpus: 8 }, recipeOf: () => 'simulated' },
      clock: { now: () => Date.UTC(2026, 0, 1), sleep: () => Promise.resolve() },
      newId: () => String((made += 1)),
    });
    await service.put(group, { location: 'westeurope' }, {});
    const network = thing('Microsoft.Network/virtualNetworks', 'net');
    const subnets = [{ name: 'a', properties: { addressPrefix: '10.0.0.0/24' } }];
    const space = { addressSpace: { addressPrefixes: ['10.0.0.0/16'] }, subnets };
    await service.put(network, { location: 'westeurope', properties: space }, {});
    const address = { name: 'ip', properties: { subnet: { id: `${network}/subnets/a` } } };
    const card = { name: 'nic', properties: { primary: true, ipConfigurations: [address] } };
    const machine = {
      storageProfile: { imageReference: { publisher: 'Debian', offer: 'debian-12', sku: '12', version: 'latest' } },
      osProfile: { computerNamePrefix: 'pool', adminUsername: 'carol', adminPassword: 'Very-Secret-9' },
      networkProfile: { networkInterfaceConfigurations: [card] },
    };
    const sku = { name: 'Standard_B1s', capacity: 2 };
    const properties = { upgradePolicy: { mode: 'Manual' }, virtualMachineProfile: machine };
    await service.put(set, { location: 'westeurope', sku, properties }, {});
  });
  afterEach(async () => {
    await store.close();
    rmSync(folder, { recursive: true });
  });

  const put = (properties: JsonObject = {}, id = setting) => service.put(id, body(properties), {});

  it('come back as they were written', async () => {
    const made = await put();
    expect(made.created).toBe(true);
    const shown = await service.get(setting);
    expect(shown).toMatchObject({ name: 'pool', type: 'Microsoft.Insights/autoscaleSettings', location: 'westeurope' });
    expect(shown['properties']).toEqual({ ...(body()['properties'] as JsonObject), provisioningState: 'Succeeded' });
    const listed = await service.list({
      subscriptionId,
      resourceGroup: 'team',
      type: 'microsoft.insights/autoscalesettings',
    });
    expect(listed).toEqual([shown]);
  });

  it('are changed by sending back what was read, as az does for each rule and profile', async () => {
    await put();
    const read = await service.get(setting);
    const more = structuredClone(read);
    const recurs = (hours: number, minutes: number): JsonObject => ({
      frequency: 'Week',
      schedule: { timeZone: 'Pacific Standard Time', days: ['Thursday'], hours: [hours], minutes: [minutes] },
    });
    (dig(more, 'properties', 'profiles') as Json[]).push(
      profile({ name: 'Thursdays', rules: [], recurrence: recurs(6, 0) }),
      profile({ name: '{"name": "default", "for": "Thursdays"}', recurrence: recurs(22, 50) }),
    );
    expect((await service.put(setting, more, {})).created).toBe(false);
    const shown = await service.get(setting);
    expect(dig(shown, 'properties', 'profiles')).toEqual(dig(more, 'properties', 'profiles'));
    const [found] = await findAutoscaleSettings(store.db);
    expect(found?.setting.profiles[1]?.recurrence).toEqual({
      ...{ timeZone: 'America/Los_Angeles', days: ['Thursday'], hours: [6], minutes: [0] },
    });
  });

  it('are patched and deleted', async () => {
    await put();
    await service.patch(setting, { properties: { enabled: false }, tags: { team: 'a' } }, {});
    expect(dig(await service.get(setting), 'properties', 'enabled')).toBe(false);
    expect(dig(await service.get(setting), 'properties', 'profiles')).toEqual(body()['properties'] && [profile()]);
    expect(await service.remove(setting)).toEqual({ existed: true });
    expect(await service.remove(setting)).toEqual({ existed: false });
    await expect(service.get(setting)).rejects.toMatchObject({ code: 'ResourceNotFound' });
  });

  it('are one for a scale set', async () => {
    await put();
    await put(); // the same again
    const other = thing('Microsoft.Insights/autoscaleSettings', 'other');
    await expect(
      put({ targetResourceUri: set.toUpperCase(), profiles: [profile({ rules: [] })] }, other),
    ).rejects.toMatchObject({
      code: 'Conflict',
      message: expect.stringContaining(`'${setting}'`) as string,
    });
    await service.remove(setting);
    await put({}, other);
  });

  it('scale what there is, and scale sets only', async () => {
    const refused = async (targetResourceUri: string) => {
      const nothing = { targetResourceUri, profiles: [profile({ rules: [] })] };
      return (await put(nothing).catch((error: unknown) => error)) as PoolhouseError;
    };
    const missing = await refused(thing('Microsoft.Compute/virtualMachineScaleSets', 'nowhere'));
    expect(missing.code).toBe('InvalidResourceReference');
    const plan = await refused(thing('Microsoft.Web/serverFarms', 'plan'));
    expect(plan).toMatchObject({ code: 'InvalidParameter', target: 'properties.targetResourceUri' });
    expect(plan.message).toContain('scales a scale set');
    expect((await refused(thing('Microsoft.Compute/virtualMachineScaleSets/virtualMachines', 'pool/0'))).code).toBe(
      'InvalidParameter',
    );
    expect((await refused('pool')).code).toBe('LinkedInvalidPropertyId');
  });
});

describe('an autoscale setting as typed values', () => {
  const read = (properties: JsonObject) => readAutoscaleSetting(body(properties));
  const readRule = (trigger: JsonObject, action: JsonObject = {}) =>
    read({ profiles: [profile({ rules: [rule(trigger, action)] })] }).profiles[0]?.rules[0];

  it('has numbers, durations and the words that there are, however they are written', () => {
    expect(
      readRule({ metricName: 'percentage cpu', operator: 'greaterthan', threshold: '75.5', timeWindow: 'PT1H30M' }),
    ).toEqual({
      trigger: {
        ...{
          metric: 'Percentage CPU',
          statistic: 'Average',
          timeGrainMilliseconds: 60_000,
          timeAggregation: 'Average',
        },
        ...{ timeWindowMilliseconds: 5_400_000, operator: 'GreaterThan', threshold: 75.5, dividePerInstance: false },
      },
      action: { direction: 'Increase', type: 'ChangeCount', value: 2, cooldownMilliseconds: 300_000 },
    });
    expect(read({}).profiles[0]?.capacity).toEqual({ minimum: 1, maximum: 5, default: 2 });
  });

  it('is off where nothing is said, as in Azure', () => {
    const { enabled: _said, ...properties } = body()['properties'] as JsonObject;
    expect(readAutoscaleSetting({ properties }).enabled).toBe(false);
  });

  it.each([
    [
      'in its zone',
      { timeZone: 'Pacific Standard Time', start: '2026-12-24T08:00:00', end: '2026-12-24T20:00:00' },
      '16:00',
    ],
    [
      'with a Z that az appends',
      { timeZone: 'Pacific Standard Time', start: '2026-12-24T08:00:00.000Z', end: '2026-12-24T20:00:00.000Z' },
      '16:00',
    ],
    [
      'with an offset',
      { timeZone: 'Pacific Standard Time', start: '2026-12-24T08:00:00+01:00', end: '2026-12-24T20:00:00' },
      '07:00',
    ],
    ['without a zone', { start: '2026-12-24 08:00', end: '2026-12-25' }, '08:00'],
  ])('takes a fixed date %s', (_case, fixedDate, expected) => {
    const found = read({ profiles: [profile({ fixedDate })] }).profiles[0]?.fixedDate;
    expect(new Date(found?.start ?? 0).toISOString()).toBe(`2026-12-24T${expected}:00.000Z`);
  });

  const schedule = { timeZone: 'UTC', days: ['Monday'], hours: [1], minutes: [0] };
  const recurrence = (more: JsonObject, frequency = 'Week') => ({
    profiles: [profile({ recurrence: { frequency, schedule: { ...schedule, ...more } } })],
  });
  const withRule = (trigger: JsonObject, action: JsonObject = {}) => ({
    profiles: [profile({ rules: [rule(trigger, action)] })],
  });
  const at = 'properties.profiles[0]';

  it.each<[string, JsonObject, string, RegExp]>([
    ['no profiles', { profiles: [] }, 'properties.profiles', /1 to 20 profiles/],
    ['21 profiles', { profiles: Array.from({ length: 21 }, () => profile()) }, 'properties.profiles', /has 21/],
    [
      '11 rules',
      { profiles: [profile({ rules: Array.from({ length: 11 }, () => rule()) })] },
      `${at}.rules`,
      /at most 10 rules/,
    ],
    [
      'a minimum above the default',
      { profiles: [profile({ capacity: { minimum: 3, maximum: 5, default: 2 } })] },
      `${at}.capacity`,
      /minimum \(3\)/,
    ],
    [
      'a default above the maximum',
      { profiles: [profile({ capacity: { minimum: 1, maximum: 5, default: 6 } })] },
      `${at}.capacity`,
      /default \(6\)/,
    ],
    [
      'a capacity that is none',
      { profiles: [profile({ capacity: { minimum: 'few', maximum: 5, default: 2 } })] },
      `${at}.capacity.minimum`,
      /whole number/,
    ],
    [
      'a metric that there is not',
      withRule({ metricName: 'Inbound Flows' }),
      `${at}.rules[0].metricTrigger.metricName`,
      /Percentage CPU, .*Available Seats/,
    ],
    [
      'metrics of something else',
      withRule({ metricResourceUri: `${set}2` }),
      `${at}.rules[0].metricTrigger.metricResourceUri`,
      /scale set itself/,
    ],
    [
      'dimensions',
      withRule({ dimensions: [{ DimensionName: 'VMName' }] }),
      `${at}.rules[0].metricTrigger.dimensions`,
      /no dimensions/,
    ],
    [
      'a grain of seconds',
      withRule({ timeGrain: 'PT30S' }),
      `${at}.rules[0].metricTrigger.timeGrain`,
      /1 minute to 12 hours/,
    ],
    [
      'a grain of a minute and a half',
      withRule({ timeGrain: 'PT90S' }),
      `${at}.rules[0].metricTrigger.timeGrain`,
      /whole number of minutes/,
    ],
    [
      'a window too short',
      withRule({ timeWindow: 'PT4M' }),
      `${at}.rules[0].metricTrigger.timeWindow`,
      /5 minutes to 12 hours/,
    ],
    [
      'a window shorter than its grain',
      withRule({ timeGrain: 'PT10M' }),
      `${at}.rules[0].metricTrigger.timeWindow`,
      /shorter than its 'timeGrain'/,
    ],
    ['a window too long', withRule({ timeWindow: 'PT12H1M' }), `${at}.rules[0].metricTrigger.timeWindow`, /12 hours/],
    [
      'a cooldown too long',
      withRule({}, { cooldown: 'P7DT1S' }),
      `${at}.rules[0].scaleAction.cooldown`,
      /1 minute to 1 week/,
    ],
    ['a cooldown in words', withRule({}, { cooldown: '5 minutes' }), `${at}.rules[0].scaleAction.cooldown`, /'PT5M'/],
    ['a change by nothing', withRule({}, { value: '0' }), `${at}.rules[0].scaleAction.value`, /from 1 to 1000/],
    [
      'an operator that there is not',
      withRule({ operator: 'AlmostEquals' }),
      `${at}.rules[0].metricTrigger.operator`,
      /LessThanOrEqual/,
    ],
    [
      'a threshold that is no number',
      withRule({ threshold: 'high' }),
      `${at}.rules[0].metricTrigger.threshold`,
      /a number is expected/,
    ],
    [
      'a time zone with a slip',
      recurrence({ timeZone: 'Pacfic Standard Time' }),
      `${at}.recurrence.schedule.timeZone`,
      /did you mean 'Pacific Standard Time'\?/,
    ],
    [
      'a time zone that there is not',
      recurrence({ timeZone: '?' }),
      `${at}.recurrence.schedule.timeZone`,
      /not known\. Windows' names/,
    ],
    ['a recurrence by day', recurrence({}, 'Day'), `${at}.recurrence.frequency`, /'Week'/],
    [
      'a day that there is not',
      recurrence({ days: ['Caturday'] }),
      `${at}.recurrence.schedule.days[0]`,
      /Sunday, Monday/,
    ],
    ['no days', recurrence({ days: [] }), `${at}.recurrence.schedule.days`, /not empty/],
    ['an hour that there is not', recurrence({ hours: [24] }), `${at}.recurrence.schedule.hours[0]`, /0 to 23/],
    [
      'a date that there is not',
      { profiles: [profile({ fixedDate: { start: '2026-02-30T00:00:00', end: '2026-03-01T00:00:00' } })] },
      `${at}.fixedDate.start`,
      /date and time/,
    ],
    [
      'an end before its start',
      { profiles: [profile({ fixedDate: { start: '2026-02-03', end: '2026-02-03' } })] },
      `${at}.fixedDate.end`,
      /later/,
    ],
  ])('is refused with %s', (_case, properties, target, message) => {
    expect(() => read(properties)).toThrow(
      expect.objectContaining({ code: 'InvalidParameter', target, message: expect.stringMatching(message) as string }),
    );
  });

  it('takes what lies on the limits', () => {
    expect(() =>
      read({
        profiles: Array.from({ length: 20 }, () => profile({ rules: Array.from({ length: 10 }, () => rule()) })),
      }),
    ).not.toThrow();
    expect(
      readRule({ timeGrain: 'PT12H', timeWindow: 'PT12H' }, { cooldown: 'P1W' })?.action.cooldownMilliseconds,
    ).toBe(7 * 24 * 3_600_000);
    expect(readRule({}, { type: 'ExactCount', value: 0 })?.action.value).toBe(0);
  });
});
