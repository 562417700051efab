/** The ARM API over HTTPS as Azure clients use it, on simulated instances: needs no root, no az and no network. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readClientSecret } from '../../src/host/client-secret.ts';
import { homeAt } from '../../src/core/home.ts';
import type { Installation } from '../../src/core/installation.ts';
import { dig, isObject, textOf, type Json, type JsonObject } from '../../src/core/json.ts';
import { must, repository, run, until } from './installation.ts';

const poolhouse = join(repository, 'bin', 'poolhouse');
const secret = 'Very-Secret-9';

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  body: Json;
}

describe('the ARM API', () => {
  let folder: string;
  let home: ReturnType<typeof homeAt>;
  let installation: Installation;
  let ca: string;
  let token: string;
  let subscription: string;

  function call(method: string, path: string, body?: string, headers: Record<string, string> = {}): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const outgoing = request(
        { host: '127.0.0.1', port: installation.apiPort, method, path, ca, headers, timeout: 30_000 },
        (incoming) => {
          let text = '';
          incoming.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
          incoming.on('end', () => {
            resolve({
              status: incoming.statusCode ?? 0,
              headers: incoming.headers,
              body: text === '' ? null : (JSON.parse(text) as Json),
            });
          });
        },
      );
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }
  const send = (method: string, path: string, body?: Json | string, headers: Record<string, string> = {}) =>
    call(
      method,
      path.includes('api-version') ? path : `${path}${path.includes('?') ? '&' : '?'}api-version=2021-04-01`,
      body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
      { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    );
  const group = (name: string) => `${subscription}/resourcegroups/${name}`;
  const thing = (groupName: string, type: string, name: string) => `${group(groupName)}/providers/${type}/${name}`;
  /** Follows an accepted request to its end, as az does. */
  async function done(answer: Answer): Promise<Json> {
    if (answer.status >= 400) return answer.body;
    const url = answer.headers['azure-asyncoperation'];
    if (typeof url !== 'string') return 'Succeeded';
    const { pathname, search } = new URL(url);
    return until('the operation ends', async () => {
      const { body } = await send('GET', `${pathname}${search}`);
      const status = dig(body, 'status');
      return status === 'Succeeded' || status === 'Failed' || status === 'Canceled' ? status : undefined;
    });
  }
  const template = (resources: Json, more: JsonObject = {}): JsonObject => ({
    $schema: 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#',
    contentVersion: '1.0.0.0',
    resources,
    ...more,
  });
  const network = (name: string, more: JsonObject = {}): JsonObject => ({
    type: 'Microsoft.Network/virtualNetworks',
    apiVersion: '2022-07-01',
    name,
    location: 'westeurope',
    properties: {
      addressSpace: { addressPrefixes: ['10.0.0.0/16'] },
      subnets: [{ name: 'a', properties: { addressPrefix: '10.0.0.0/24' } }],
    },
    ...more,
  });
  const deploymentPath = (groupName: string, name: string) => `${group(groupName)}/deployments/${name}`;
  const deploy = (groupName: string, name: string, body: JsonObject) =>
    send('PUT', deploymentPath(groupName, name), { properties: { mode: 'Incremental', ...body } });
  const scaleSet = (groupName: string): JsonObject => ({
    location: 'westeurope',
    sku: { name: 'Standard_B1s', capacity: 2 },
    properties: {
      upgradePolicy: { mode: 'Manual' },
      virtualMachineProfile: {
        storageProfile: { imageReference: { publisher: 'Debian', offer: 'debian-12', sku: '12', version: 'latest' } },
        osProfile: { computerNamePrefix: 'pool', adminUsername: 'carol', adminPassword: secret },
        networkProfile: {
          networkInterfaceConfigurations: [
            {
              name: 'nic',
              properties: {
                primary: true,
                ipConfigurations: [
                  {
                    name: 'ip',
                    properties: {
                      subnet: { id: `${thing(groupName, 'Microsoft.Network/virtualNetworks', 'net')}/subnets/a` },
                    },
                  },
                ],
              },
            },
          ],
        },
      },
    },
  });

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-arm-'));
    home = homeAt(join(folder, 'home'));
    await must(poolhouse, ['up', '--engine', 'sim'], { env: { ...process.env, POOLHOUSE_HOME: home.folder } });
    installation = JSON.parse(await readFile(home.installation, 'utf8')) as Installation;
    ca = await readFile(join(home.certificates, 'ca.pem'), 'utf8');
    subscription = `/subscriptions/${installation.subscriptionId}`;
    const form = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: installation.clientId,
      client_secret: await readClientSecret(home, installation),
    });
    const signedIn = await call('POST', '/adfs/oauth2/token', form.toString(), {
      'content-type': 'application/x-www-form-urlencoded',
    });
    token = textOf(dig(signedIn.body, 'access_token'));
    for (const name of ['team', 'other'])
      expect((await send('PUT', group(name), { location: 'westeurope' })).status).toBe(201);
  });
  afterAll(async () => {
    await run(poolhouse, ['down', '--destroy', '--yes'], { env: { ...process.env, POOLHOUSE_HOME: home.folder } });
    await rm(folder, { recursive: true, force: true });
  });

  describe('answers what is wrong with a request, in Azure’s words', () => {
    it.each<[string, string, string, Json | string | undefined, number, string]>([
      ['no such path', 'GET', '/elsewhere', undefined, 404, 'NotFound'],
      [
        'another subscription',
        'GET',
        '/subscriptions/00000000-0000-0000-0000-000000000000/resourcegroups',
        undefined,
        404,
        'SubscriptionNotFound',
      ],
      [
        'an empty api-version',
        'GET',
        'S/resourcegroups?x=1&api-version=',
        undefined,
        400,
        'InvalidApiVersionParameter',
      ],
      [
        'an odd api-version',
        'GET',
        'S/resourcegroups?api-version=newest',
        undefined,
        400,
        'InvalidApiVersionParameter',
      ],
      ['no such group', 'GET', 'S/resourcegroups/nobody', undefined, 404, 'ResourceGroupNotFound'],
      [
        'a resource in no group',
        'PUT',
        'S/resourcegroups/nobody/providers/Microsoft.Network/virtualNetworks/n',
        { location: 'x', properties: {} },
        404,
        'ResourceGroupNotFound',
      ],
      [
        'no such resource',
        'GET',
        'S/resourcegroups/team/providers/Microsoft.Network/virtualNetworks/none',
        undefined,
        404,
        'ResourceNotFound',
      ],
      [
        'an unknown type',
        'PUT',
        'S/resourcegroups/team/providers/Microsoft.Sql/servers/s',
        { location: 'x' },
        400,
        'NoRegisteredProviderFound',
      ],
      ['no JSON', 'PUT', 'S/resourcegroups/team', '{"location": ', 400, 'InvalidRequestContent'],
      ['a string that never ends', 'PUT', 'S/resourcegroups/team', '"\\', 400, 'InvalidRequestContent'],
      ['no object', 'PUT', 'S/resourcegroups/team', '[]', 400, 'InvalidRequestContent'],
      [
        'no location',
        'PUT',
        'S/resourcegroups/team/providers/Microsoft.Network/virtualNetworks/n',
        { properties: {} },
        400,
        'LocationRequired',
      ],
      [
        'a wrong filter',
        'GET',
        'S/resources?$filter=colour%20eq%20%27red%27',
        undefined,
        400,
        'InvalidFilterInQueryString',
      ],
      ['a wrong method', 'DELETE', 'S/locations', undefined, 405, 'MethodNotAllowed'],
      [
        'a wrong name',
        'PUT',
        'S/resourcegroups/team/providers/Microsoft.Storage/storageAccounts/Not-Valid',
        { location: 'x', sku: { name: 'Standard_LRS' } },
        400,
        'AccountNameInvalid',
      ],
      ['no deployment', 'GET', 'S/resourcegroups/team/deployments/none', undefined, 404, 'DeploymentNotFound'],
    ])('%s', async (_what, method, path, body, status, code) => {
      const answer = await send(method, path.replace(/^S/, subscription), body);
      expect([answer.status, dig(answer.body, 'error', 'code')]).toEqual([status, code]);
      expect(dig(answer.body, 'error', 'message')).toMatch(/\w{3}/);
    });

    it('no token, or another', async () => {
      for (const headers of [{}, { authorization: 'Bearer a.b.c' }]) {
        const answer = await call('GET', `${subscription}?api-version=2021-04-01`, undefined, headers);
        expect([answer.status, dig(answer.body, 'error', 'code')]).toEqual([401, 'AuthenticationFailed']);
      }
    });
  });

  it('keeps resources: put, get, list, patch, delete', async () => {
    const path = thing('other', 'Microsoft.Network/virtualNetworks', 'kept');
    const { type: _type, apiVersion: _version, name: _name, ...body } = network('kept', { tags: { a: '1' } });
    expect((await send('PUT', path, body)).status).toBe(201);
    expect((await send('PUT', path, body)).status).toBe(200);
    const got = await send('GET', path.toUpperCase().replace('API-VERSION', 'api-version'));
    expect(got.body).toMatchObject({
      name: 'kept',
      type: 'Microsoft.Network/virtualNetworks',
      location: 'westeurope',
      properties: { provisioningState: 'Succeeded' },
    });
    expect((await send('PATCH', path, { tags: { b: '2' } })).body).toMatchObject({ tags: { b: '2' } });
    const listed = await send('GET', `${group('other')}/resources?$filter=name%20eq%20%27kept%27`);
    expect(dig(listed.body, 'value', 0, 'name')).toBe('kept');
    expect((await send('GET', `${path}/subnets/a`)).body).toMatchObject({ name: 'a' });
    expect(await done(await send('DELETE', path))).toBe('Succeeded');
    expect((await send('DELETE', path)).status).toBe(204);
    // A group is not one of the resources in it.
    expect((await send('GET', `${group('other')}/resources`)).body).toEqual({ value: [] });
  });

  it('deploys, shows, lists and deletes deployments', async () => {
    const body = {
      template: template([network('net')], {
        parameters: { key: { type: 'securestring' } },
        outputs: { o: { type: 'string', value: "[resourceId('Microsoft.Network/virtualNetworks', 'net')]" } },
      }),
      parameters: { key: { value: secret } },
    };
    const validated = await send('POST', `${deploymentPath('team', 'first')}/validate`, {
      properties: { mode: 'Incremental', ...body },
    });
    expect(dig(validated.body, 'error') ?? null).toBeNull();
    const accepted = await deploy('team', 'first', body);
    expect(accepted.status).toBe(201);
    expect(await done(accepted)).toBe('Succeeded');
    const shown = await send('GET', deploymentPath('team', 'first'));
    expect(shown.body).toMatchObject({
      properties: { provisioningState: 'Succeeded', parameters: { key: { type: 'SecureString' } } },
    });
    const operations = await send('GET', `${deploymentPath('team', 'first')}/operations`);
    expect(dig(operations.body, 'value', 0, 'properties', 'provisioningState')).toBe('Succeeded');
    const listed = await send('GET', `${group('team')}/deployments`);
    expect(dig(listed.body, 'value', 0, 'name')).toBe('first');
    for (const { body: answer } of [accepted, shown, operations, listed, validated])
      expect(JSON.stringify(answer)).not.toContain(secret);
    expect(await done(await send('DELETE', deploymentPath('team', 'first')))).toBe('Succeeded');
    expect((await send('GET', deploymentPath('team', 'first'))).status).toBe(404);
    expect((await send('GET', thing('team', 'Microsoft.Network/virtualNetworks', 'net'))).status).toBe(200);
  });

  it('names the line and the column of the template that was sent, however az wrapped it', async () => {
    const text =
      '{\n  // ours\n  "contentVersion": "1.0.0.0",\n  "parameters": {\n    "count": { "type": "int", "maxValue": 100 }\n  },\n  "resources": []\n}';
    const answer = await send(
      'PUT',
      deploymentPath('team', 'wrong'),
      `{"properties": {"parameters": {"count": {"value": 101}}, "mode": "Incremental", template:${text}}}`,
    );
    expect([answer.status, dig(answer.body, 'error', 'code')]).toEqual([400, 'InvalidTemplate']);
    expect(dig(answer.body, 'error', 'message')).toMatch(/'count' at line '5' and column '\d+'/);
    expect(dig(answer.body, 'error', 'additionalInfo', 0, 'info', 'lineNumber')).toBe(5);
  });

  it('checks a whole template before anything is made', async () => {
    const resources = [
      network('half'),
      { type: 'Microsoft.Sql/servers', apiVersion: '2020-01-01', name: 's', location: 'x' },
    ];
    const answer = await deploy('team', 'half', { template: template(resources) });
    expect(answer.status).toBe(400);
    expect(JSON.stringify(answer.body)).toContain('NoRegisteredProviderFound');
    expect((await send('GET', thing('team', 'Microsoft.Network/virtualNetworks', 'half'))).status).toBe(404);
    expect((await send('GET', deploymentPath('team', 'half'))).status).toBe(404);
  });

  it('leaves what is there in incremental mode, and removes it in complete mode', async () => {
    const networks = async () => {
      const { body } = await send('GET', `${group('other')}/providers/Microsoft.Network/virtualNetworks`);
      const value = dig(body, 'value');
      return Array.isArray(value) ? value.map((one) => (isObject(one) ? one['name'] : null)).toSorted() : [];
    };
    expect(
      await done(await deploy('other', 'abc', { template: template(['a', 'b', 'c'].map((name) => network(name))) })),
    ).toBe('Succeeded');
    expect(
      await done(await deploy('other', 'abd', { template: template(['a', 'b', 'd'].map((name) => network(name))) })),
    ).toBe('Succeeded');
    expect(await networks()).toEqual(['a', 'b', 'c', 'd']);
    expect(
      await done(
        await deploy('other', 'complete', {
          mode: 'Complete',
          template: template(['a', 'd'].map((name) => network(name))),
        }),
      ),
    ).toBe('Succeeded');
    expect(await networks()).toEqual(['a', 'd']);
  });

  it('keeps a scale set: its instances, its secrets, what clients send back', async () => {
    const path = thing('team', 'Microsoft.Compute/virtualMachineScaleSets', 'pool');
    const made = await send('PUT', path, scaleSet('team'));
    expect(made.status).toBe(201);
    expect(await done(made)).toBe('Succeeded');
    const ids = async () => {
      const value = dig((await send('GET', `${path}/virtualMachines`)).body, 'value');
      return Array.isArray(value) ? value.map((one) => (isObject(one) ? one['instanceId'] : null)) : [];
    };
    expect(await ids()).toEqual(['0', '1']);
    const shown = (await send('GET', path)).body;
    expect(JSON.stringify(shown)).not.toContain(secret);
    // What was read is sent back, with another capacity and without the secret.
    if (!isObject(shown)) throw new Error('no scale set');
    expect(await done(await send('PUT', path, { ...shown, sku: { name: 'Standard_B1s', capacity: 3 } }))).toBe(
      'Succeeded',
    );
    expect(await ids()).toEqual(['0', '1', '2']);
    // As `az vmss update --set tags.…` of the older profiles does, without the image.
    const tagged = structuredClone(shown);
    const profile = dig(tagged, 'properties', 'virtualMachineProfile');
    change(tagged, { virtualMachineProfile: { ...(isObject(profile) ? profile : {}), storageProfile: {} } });
    expect(await done(await send('PUT', path, { ...tagged, tags: { cost: 'low' }, sku: { name: 'Standard_B1s', capacity: 3 } }))).toBe('Succeeded'); // prettier-ignore
    expect((await send('GET', path)).body).toMatchObject({ tags: { cost: 'low' }, properties: { virtualMachineProfile: { storageProfile: { imageReference: { offer: expect.any(String) as string } } } } }); // prettier-ignore
    expect(await ids()).toEqual(['0', '1', '2']);
    // As `az vmss scale` does, without the profile.
    expect(
      await done(await send('PUT', path, { location: 'westeurope', sku: { name: 'Standard_B1s', capacity: 2 } })),
    ).toBe('Succeeded');
    expect(await ids()).toHaveLength(2);
    expect(await done(await send('PATCH', path, { sku: { capacity: 3 } }))).toBe('Succeeded');
    expect((await ids()).at(-1)).toBe('3');
    expect(await done(await send('POST', `${path}/delete`, { instanceIds: ['3'] }))).toBe('Succeeded');
    expect(await ids()).toHaveLength(2);
    expect((await send('GET', path)).body).toMatchObject({ sku: { capacity: 2 } });
    expect(await done(await send('POST', `${path}/deallocate`, {}))).toBe('Succeeded');
    expect(JSON.stringify((await send('GET', `${path}/virtualMachines/0/instanceView`)).body)).toContain(
      'PowerState/deallocated',
    );
    expect(await done(await send('POST', `${path}/start`, {}))).toBe('Succeeded');
    expect(JSON.stringify((await send('GET', `${path}/virtualMachines/0/instanceView`)).body)).toContain(
      'PowerState/running',
    );
    expect((await send('POST', `${path}/delete`, { instanceIds: ['99'] })).status).toBe(400);
  });

  it('spreads instances over zones, and takes away by the policy, from the zone that has most', async () => {
    const path = thing('team', 'Microsoft.Compute/virtualMachineScaleSets', 'zoned');
    const body = scaleSet('team');
    const zoned = { ...body, zones: ['1', '2'], sku: { name: 'Standard_B1s', capacity: 4 } };
    change(zoned, { scaleInPolicy: { rules: ['OldestVM'] } });
    expect(await done(await send('PUT', path, zoned))).toBe('Succeeded');
    const seen = async () => {
      const value = dig((await send('GET', `${path}/virtualMachines`)).body, 'value');
      return Array.isArray(value) ? value.filter(isObject).map((one) => [one['instanceId'], one['zones']]) : [];
    };
    expect(await seen()).toEqual([['0', ['1']], ['1', ['2']], ['2', ['1']], ['3', ['2']]]); // prettier-ignore
    expect(await done(await send('PATCH', path, { sku: { capacity: 2 } }))).toBe('Succeeded');
    expect(await seen()).toEqual([['2', ['1']], ['3', ['2']]]); // prettier-ignore
    expect(await done(await send('PATCH', path, { sku: { capacity: 3 } }))).toBe('Succeeded');
    expect((await seen()).at(-1)).toEqual(['4', ['1']]);
    expect((await send('GET', path)).body).toMatchObject({
      zones: ['1', '2'],
      properties: { scaleInPolicy: { rules: ['OldestVM'] } },
    });
  });

  it('restarts, reimages, upgrades and protects instances, and deletes one by its own path', async () => {
    const path = thing('team', 'Microsoft.Compute/virtualMachineScaleSets', 'life');
    const body = scaleSet('team');
    change(body, { upgradePolicy: { mode: 'Manual' } });
    expect(await done(await send('PUT', path, body))).toBe('Succeeded');
    const seen = async () => {
      const value = dig((await send('GET', `${path}/virtualMachines`)).body, 'value');
      return Array.isArray(value)
        ? value.filter(isObject).map((one) => [one['instanceId'], dig(one, 'properties', 'latestModelApplied')])
        : [];
    };
    expect(await seen()).toEqual([['0', true], ['1', true]]); // prettier-ignore
    for (const action of ['restart', 'reimage']) {
      expect(await done(await send('POST', `${path}/${action}`, { instanceIds: ['1'] }))).toBe('Succeeded');
      expect(await done(await send('POST', `${path}/virtualMachines/0/${action}`))).toBe('Succeeded');
    }
    // A new size: nothing changes by itself where the policy is Manual.
    expect(await done(await send('PATCH', path, { sku: { name: 'Standard_B2s' } }))).toBe('Succeeded');
    expect(await seen()).toEqual([['0', false], ['1', false]]); // prettier-ignore
    expect(await done(await send('POST', `${path}/manualupgrade`, { instanceIds: ['1'] }))).toBe('Succeeded');
    expect(await seen()).toEqual([['0', false], ['1', true]]); // prettier-ignore
    expect(
      await done(await send('PATCH', path, { properties: { upgradePolicy: { mode: 'Rolling', rollingUpgradePolicy: { pauseTimeBetweenBatches: 'PT0S' } } } })),
    ).toBe('Succeeded'); // prettier-ignore
    const latest = () => send('GET', `${path}/rollingUpgrades/latest`);
    await until('the rolling upgrade is over', async () => {
      const status = dig((await latest()).body, 'properties', 'progress', 'pendingInstanceCount');
      return status === 0 ? status : undefined;
    });
    expect(await seen()).toEqual([['0', true], ['1', true]]); // prettier-ignore
    expect((await send('POST', `${path}/rollingUpgrades/cancel`)).status).toBe(202);
    expect(await done(await send('PUT', `${path}/virtualmachines/0`, { properties: { protectionPolicy: { protectFromScaleIn: true } } }))).toBe('Succeeded'); // prettier-ignore
    expect((await send('GET', `${path}/virtualMachines/0`)).body).toMatchObject({
      properties: { protectionPolicy: { protectFromScaleIn: true, protectFromScaleSetActions: false } },
    });
    expect(await done(await send('DELETE', `${path}/virtualMachines/1`))).toBe('Succeeded');
    expect(await seen()).toEqual([['0', true]]);
    expect((await send('GET', path)).body).toMatchObject({ sku: { capacity: 1 } });
    expect((await send('DELETE', `${path}/virtualMachines/1`)).status).toBe(204);
    const evicted = await send('POST', `${path}/virtualMachines/0/simulateEviction`);
    expect(dig(evicted.body, 'error', 'code')).toBe('OperationNotAllowed');
    expect(dig((await send('GET', `${path}/instanceView`)).body, 'orchestrationServices', 0, 'serviceState')).toBe(
      'NotRunning',
    );
  });

  it('keeps standby instances beside the capacity, which join when it grows', async () => {
    const path = thing('team', 'Microsoft.Compute/virtualMachineScaleSets', 'ready');
    const body = scaleSet('team');
    body['tags'] = { 'poolhouse-standby': '1' };
    body['sku'] = { name: 'Standard_B1s', capacity: 1 };
    expect(await done(await send('PUT', path, body))).toBe('Succeeded');
    const power = async (id: number) => {
      const statuses = dig((await send('GET', `${path}/virtualMachines/${id}/instanceView`)).body, 'statuses');
      return Array.isArray(statuses) ? dig(statuses[1] ?? null, 'code') : undefined;
    };
    await until('a standby is at rest', async () => ((await power(1)) === 'PowerState/deallocated' ? true : undefined));
    expect((await send('GET', path)).body).toMatchObject({ sku: { capacity: 1 } });
    expect(await done(await send('PATCH', path, { sku: { capacity: 2 } }))).toBe('Succeeded');
    expect(await power(1)).toBe('PowerState/running');
    await until('it is filled up again', async () =>
      (await power(2)) === 'PowerState/deallocated' ? true : undefined,
    );
  });

  function change(body: JsonObject, properties: JsonObject): void {
    body['properties'] = { ...(isObject(body['properties']) ? body['properties'] : {}), ...properties };
  }

  it.each<[string, (body: JsonObject) => unknown, number, string]>([
    ['an unknown size', (body) => (body['sku'] = { name: 'Standard_Huge_v9', capacity: 1 }), 400, 'InvalidParameter'],
    [
      'a rule that Azure has not',
      (body) => change(body, { scaleInPolicy: { rules: ['Random'] } }),
      400,
      'InvalidParameter',
    ],
    [
      'a rule that is no list',
      (body) => change(body, { scaleInPolicy: { rules: 'OldestVM' } }),
      400,
      'InvalidParameter',
    ],
    [
      'a pause that is no duration',
      (body) =>
        change(body, { upgradePolicy: { mode: 'Rolling', rollingUpgradePolicy: { pauseTimeBetweenBatches: '5m' } } }),
      400,
      'InvalidParameter',
    ],
    [
      'a grace period that Azure does not allow',
      (body) => change(body, { automaticRepairsPolicy: { enabled: true, gracePeriod: 'PT1M' } }),
      400,
      'InvalidParameter',
    ],
    ['zones that are none', (body) => (body['zones'] = ['1', 1]), 400, 'InvalidParameter'],
    ['a negative capacity', (body) => (body['sku'] = { name: 'Standard_B1s', capacity: -1 }), 400, 'InvalidParameter'],
  ])('refuses a scale set with %s, and makes nothing', async (_what, spoil, status, code) => {
    const body = scaleSet('team');
    spoil(body);
    const path = thing('team', 'Microsoft.Compute/virtualMachineScaleSets', 'refused');
    const answer = await send('PUT', path, body);
    expect([answer.status, dig(answer.body, 'error', 'code')]).toEqual([status, code]);
    expect((await send('GET', path)).status).toBe(404);
  });

  it('does not delete what something else needs', async () => {
    const answer = await send('DELETE', thing('team', 'Microsoft.Network/virtualNetworks', 'net'));
    expect(answer.status).toBe(400);
    expect(dig(answer.body, 'error', 'code')).toBe('InUseSubnetCannotBeDeleted');
  });

  it('has storage accounts with keys that can be made anew, and shares', async () => {
    const path = thing('team', 'Microsoft.Storage/storageAccounts', 'teamstore');
    expect(
      await done(
        await send('PUT', path, {
          location: 'westeurope',
          kind: 'StorageV2',
          sku: { name: 'Standard_LRS' },
          properties: {},
        }),
      ),
    ).toBe('Succeeded');
    const keys = async () => dig((await send('POST', `${path}/listKeys`, {})).body, 'keys', 0, 'value');
    const first = await keys();
    expect((await send('GET', path)).body).toMatchObject({ name: 'teamstore' });
    expect(JSON.stringify((await send('GET', path)).body)).not.toContain(textOf(first));
    expect((await send('POST', `${path}/regenerateKey`, { keyName: 'key1' })).status).toBe(200);
    expect(await keys()).not.toBe(first);
    const share = `${path}/fileServices/default/shares/files`;
    expect([200, 201]).toContain((await send('PUT', share, { properties: { shareQuota: 7 } })).status);
    expect((await send('GET', share)).body).toMatchObject({ name: 'files', properties: { shareQuota: 7 } });
  });

  it('deletes a group with all that is in it', async () => {
    expect(await done(await send('DELETE', group('team')))).toBe('Succeeded');
    expect((await send('GET', group('team'))).status).toBe(404);
    expect((await send('GET', group('other'))).status).toBe(200);
  });
});
