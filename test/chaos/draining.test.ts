/** What people meet when their machine drains: on simulated instances, with a whole control and reports of a gateway. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Presence } from '../../src/control/bindings.ts';
import type { JsonObject } from '../../src/core/json.ts';
import type { ResourceId } from '../../src/core/resource-id.ts';
import { createSimEngine } from '../../src/engines/sim/sim-engine.ts';
import type { Session } from '../../src/link/people.ts';
import { findInstances } from '../../src/store/instance-records.ts';
import { Life } from './mortal.ts';
import { createTestClock, startSimControl, subscriptionId } from './sim-control.ts';

const template = JSON.parse(
  readFileSync(fileURLToPath(new URL('../../examples/shared-pool/template.json', import.meta.url)), 'utf8'),
) as JsonObject;
const group = `/subscriptions/${subscriptionId}/resourceGroups/team` as ResourceId;
const thing = (type: string, name: string) => `${group}/providers/${type}/${name}` as ResourceId;
const set = thing('Microsoft.Compute/virtualMachineScaleSets', 'pool');
const minute = 60_000;

/** A pool of two instances that run. */
async function prepare() {
  const folder = mkdtempSync(join(tmpdir(), 'poolhouse-draining-'));
  onTestFinished(() => {
    rmSync(folder, { recursive: true });
  });
  const clock = createTestClock();
  const engine = createSimEngine({ clock });
  let made = 0;
  const ids = () => `00000000-0000-4000-8000-${(made += 1).toString(16).padStart(12, '0')}`;
  const world = { sessions: [] as Session[], running: [] as Presence[] };
  const start = () =>
    startSimControl(join(folder, 'store.sqlite'), engine, clock, new Life(), ids, () => Promise.resolve(world.running));
  let control = await start();
  onTestFinished(() => control.close());

  const report = () => {
    const about = {
      gateway: 'g',
      pid: 1,
      phase: 'serving' as const,
      startedAt: 0,
      revision: 1,
      probes: [],
      failures: [],
    };
    const connections = world.sessions.map(({ instance }) => ({ route: 'r', instance, open: 1 }));
    control.reports.take({ ...about, connections, sessions: world.sessions }, clock.now());
  };
  const turn = async () => {
    report();
    await control.turn();
  };
  const names = async () => (await findInstances(control.world.store.db)).map(({ name }) => name);
  const until = async (is: (instances: string[]) => boolean, most = 100) => {
    for (let turns = 0; turns < most && !is(await names()); turns += 1) await turn();
    expect(await names()).toSatisfy(is);
  };
  const properties = {
    ...{ mode: 'Incremental', template },
    parameters: {
      ...{ poolName: { value: 'pool' }, instanceCount: { value: 2 }, storageAccountName: { value: 'account' } },
      ...{ adminUsername: { value: 'azureuser' }, adminPassword: { value: 'Correct-Horse-7' } },
      adminPublicKey: {
        value: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ0dqOPMA8xJT4Nr8tqV0Z9EEiOTjFCgZxT1n8PVyLZ alice',
      },
    },
  };
  await control.service.put(group, { location: 'westeurope' }, {});
  await control.service.put(thing('Microsoft.Resources/deployments', 'd'), { properties }, {});
  await until((instances) => instances.length === 2);
  for (let turns = 0; turns < 20; turns += 1) await turn();
  const key = (await findInstances(control.world.store.db))[0]?.scaleSetKey ?? '';
  return {
    ...{ world, clock, turn, until, names, key },
    control: () => control,
    /** As after a crash: what it remembered is gone. */
    restart: async () => {
      await control.close();
      control = await start();
    },
    scale: (capacity: number) => control.service.patch(set, { sku: { capacity } }, {}),
    said: () => control.orders.list().orders.map(({ session, message, end }) => [session, message ?? end]),
    sit: (user: string, instance: string): Session => ({
      ...{ id: user, user, instance, pool: key, protocol: 'ssh', since: 0, client: '127.0.0.1' },
    }),
  };
}

describe('a machine that drains', { timeout: 60_000 }, () => {
  it('says so to those on it, goes when the last of them has gone, and not before', async () => {
    const { world, turn, until, names, scale, said, sit, restart, control } = await prepare();
    const [one = '', two = ''] = await names();
    world.sessions = [sit('ada', one), sit('bob', two)];
    await turn();
    await scale(0);
    for (let turns = 0; turns < 20; turns += 1) await turn();
    expect(await names()).toHaveLength(2);
    for (const user of ['ada', 'bob'])
      expect(said()).toContainEqual([user, expect.stringMatching(/^This machine goes in 30 minutes/)]);
    // A control that begins anew removes nobody's machine before it has heard who is there.
    await restart();
    for (let turns = 0; turns < 5; turns += 1) await control().turn();
    expect(await names()).toHaveLength(2);
    world.sessions = [sit('bob', two)];
    await until((instances) => !instances.includes(one));
    expect(await names()).toEqual([two]);
  });

  it('stays for what somebody left running', async () => {
    const { world, turn, until, names, scale, key } = await prepare();
    const [one = '', two = ''] = await names();
    world.running = [{ pool: key, user: 'ada', instance: one, activeAt: 0 }];
    for (let turns = 0; turns < 3; turns += 1) await turn();
    await scale(0);
    await until((instances) => !instances.includes(two));
    for (let turns = 0; turns < 20; turns += 1) await turn();
    expect(await names()).toEqual([one]);
    world.running = [];
    await until((instances) => instances.length === 0);
  });

  it('ends those who are still there when its time is over, having told them before', async () => {
    const { world, clock, turn, until, names, scale, said, sit } = await prepare();
    const [one = ''] = await names();
    world.sessions = [sit('ada', one)];
    await turn();
    await scale(0);
    const heard = new Set<string>();
    const listen = async (turns: number) => {
      for (let turned = 0; turned < turns; turned += 1) {
        await turn();
        for (const [, text] of said()) heard.add(text ?? '');
      }
    };
    for (const minutes of [0, 20, 5, 4]) {
      clock.advance(minutes * minute);
      await listen(10);
    }
    await listen(60);
    expect([...heard].map((text) => text.split(/[,.]/)[0])).toEqual([
      'This machine goes in 30 minutes',
      ...['10', '5'].map((left) => expect.stringContaining(`in ${left} minutes`) as unknown),
      'This machine goes in a minute',
      'The time of this machine is over',
    ]);
    await until((instances) => instances.length === 0);
  });

  it('says that it stays when it is wanted again', async () => {
    const { world, turn, names, scale, said, sit } = await prepare();
    const [one = ''] = await names();
    world.sessions = [sit('ada', one)];
    await turn();
    await scale(0);
    for (let turns = 0; turns < 5; turns += 1) await turn();
    await scale(1);
    for (let turns = 0; turns < 5; turns += 1) await turn();
    expect(said().at(-1)).toEqual(['ada', 'This machine stays.']);
    expect(await names()).toEqual([one]);
  });
});
