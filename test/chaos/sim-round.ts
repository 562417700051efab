/**
 * One round on simulated instances: people deploy, scale and delete, control dies at steps that the seed chooses, and
 * sometimes its store is put back to a copy from before. In the end all has to be well.
 */
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { JsonObject } from '../../src/core/json.ts';
import { PoolhouseError } from '../../src/core/errors.ts';
import type { ResourceId } from '../../src/core/resource-id.ts';
import { createSimEngine } from '../../src/engines/sim/sim-engine.ts';
import { findBreaches } from './invariants.ts';
import { Killed, Life } from './mortal.ts';
import { createRandom } from './random.ts';
import { createTestClock, startSimControl, subscriptionId, type SimControl } from './sim-control.ts';

const template = JSON.parse(
  readFileSync(fileURLToPath(new URL('../../examples/shared-pool/template.json', import.meta.url)), 'utf8'),
) as JsonObject;

/** Steps of a life: short ones die in the middle of starting, long ones after several requests. */
const longestLife = 1_500;
const lives = 4;
const mostTurns = 400;

export interface RoundResult {
  breaches: string[];
  /** What was done and what happened, for whoever looks for the fault. */
  story: string[];
}

export async function runSimRound(seed: number): Promise<RoundResult> {
  const random = createRandom(seed);
  const folder = mkdtempSync(join(tmpdir(), 'poolhouse-chaos-'));
  const file = join(folder, 'store.sqlite');
  const copy = join(folder, 'copy.sqlite');
  const clock = createTestClock();
  const engine = createSimEngine({ clock });
  const story: string[] = [];
  let made = 0;
  const ids = () => `00000000-0000-4000-8000-${(made += 1).toString(16).padStart(12, '0')}`;
  const say = (words: string) => story.push(words);
  const groups = ['a', 'b'] as const;
  const group = (name: string) => `/subscriptions/${subscriptionId}/resourceGroups/${name}` as ResourceId;
  const thing = (name: string, type: string, own: string) => `${group(name)}/providers/${type}/${own}` as ResourceId;
  const scaleSet = (name: string) => thing(name, 'Microsoft.Compute/virtualMachineScaleSets', `pool${name}`);

  /** What people do: one request each. */
  async function request(control: SimControl): Promise<void> {
    const { service } = control;
    const name = random.pick(groups);
    const count = random.below(5);
    const kind = random.pick([
      'deploy',
      'deploy',
      'deploy',
      'scale',
      'scale',
      'delete group',
      'delete instance',
      'cancel',
      'complete',
      'restart',
      'reimage',
      'deallocate',
      'start',
      'upgrade policy',
      'other size',
      'update instances',
      'standby',
    ]);
    say(`${kind} ${name} ${count}`);
    if (kind === 'deploy' || kind === 'complete') {
      await service.put(group(name), { location: 'westeurope' }, {});
      await service.put(
        thing(name, 'Microsoft.Resources/deployments', `d${random.below(2)}`),
        deployment(name, count, kind),
        {},
      );
    }
    if (kind === 'scale') await service.patch(scaleSet(name), { sku: { capacity: count } }, {});
    if (kind === 'delete group') await service.remove(group(name));
    if (kind === 'delete instance') await service.act(scaleSet(name), 'delete', { instanceIds: [String(count)] });
    if (kind === 'restart' || kind === 'reimage' || kind === 'deallocate' || kind === 'start')
      await service.act(scaleSet(name), kind, random.below(2) === 0 ? {} : { instanceIds: [String(count)] });
    if (kind === 'update instances') await service.act(scaleSet(name), 'manualupgrade', { instanceIds: ['*'] });
    if (kind === 'upgrade policy')
      await service.patch(
        scaleSet(name),
        { properties: { upgradePolicy: { mode: random.pick(['Manual', 'Automatic', 'Rolling']) } } },
        {},
      );
    if (kind === 'other size')
      await service.patch(scaleSet(name), { sku: { name: random.pick(['Standard_B1s', 'Standard_B2s']) } }, {});
    if (kind === 'standby')
      await service.patch(
        scaleSet(name),
        {
          tags: {
            'poolhouse-standby': String(random.below(3)),
            'poolhouse-standby-power': random.pick(['stopped', 'frozen']),
          },
        },
        {},
      );
    if (kind === 'cancel') await service.act(thing(name, 'Microsoft.Resources/deployments', 'd0'), 'cancel', {});
  }

  /** One process: it starts, serves requests, and dies or ends. True when it was not killed. */
  async function live(life: Life, work: (control: SimControl) => Promise<void>): Promise<boolean> {
    let control: SimControl | undefined;
    try {
      control = await startSimControl(file, engine, clock, life, ids);
      await work(control);
      if (!life.isOver) await control.close();
    } catch (error) {
      if (!life.isOver && !(error instanceof Killed)) throw error;
    } finally {
      const wasKilled = life.isOver;
      life.end();
      if (wasKilled) say(`killed after ${life.steps} steps`);
      await control?.idle().catch(() => undefined);
    }
    return control !== undefined;
  }

  try {
    let hasCopy = false;
    let wasPutBack = false;
    for (let number = 0; number < lives; number += 1) {
      if (hasCopy && random.below(4) === 0) {
        say('the store is put back to a copy');
        wasPutBack = true;
        for (const suffix of ['-wal', '-shm']) rmSync(`${file}${suffix}`, { force: true });
        copyFileSync(copy, file);
      }
      await live(new Life(1 + random.below(longestLife)), async (control) => {
        for (let asked = 0; asked < 5; asked += 1) {
          await request(control).catch((error: unknown) => {
            if (!(error instanceof PoolhouseError)) throw error;
            say(`  refused: ${error.code}`);
          });
          for (let turns = random.below(6); turns > 0; turns -= 1) await control.turn();
        }
      });
      if (random.below(3) === 0) {
        copyFileSync(file, copy); // whoever had it open has closed it
        hasCopy = true;
      }
    }
    let breaches: string[] = [];
    await live(new Life(), async (control) => {
      for (let turn = 0; turn < mostTurns; turn += 1) {
        await control.turn();
        clock.advance(1_000);
        if (turn % 10 === 9) {
          breaches = findBreaches(file, await facts(), { wasPutBack });
          if (breaches.length === 0) return;
        }
      }
    });
    if (breaches.length > 0) return { breaches, story };

    await live(new Life(), async (control) => {
      for (const name of groups) await control.service.remove(group(name));
      for (let turn = 0; turn < mostTurns; turn += 1) {
        await control.turn();
        if (turn % 10 === 9 && (await facts()).instances.length === 0) break;
      }
      for (let turn = 0; turn < 20; turn += 1) await control.turn();
      breaches = [...findBreaches(file, await facts(), { wasPutBack }), ...(await leftovers(control))];
    });
    return { breaches, story };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }

  async function facts() {
    const signal = new AbortController().signal;
    return { instances: await engine.list(signal), shares: await engine.listShares(signal) };
  }

  /** After every group was deleted nothing may be left at all. */
  async function leftovers(control: SimControl): Promise<string[]> {
    const { db } = control.world.store;
    const left: string[] = (await facts()).instances.map((one) => `the engine still has ${one.name}`);
    for (const table of [
      'resources',
      'instances',
      'models',
      'deployment_steps',
      'public_addresses',
      'listen_ports',
    ] as const) {
      const rows = await db.selectFrom(table).selectAll().execute();
      if (rows.length > 0)
        left.push(`${table} still has ${rows.length} rows: ${JSON.stringify(rows[0]).slice(0, 200)}`);
    }
    return left;
  }
}

function deployment(pool: string, count: number, kind: 'deploy' | 'complete'): JsonObject {
  return {
    properties: {
      mode: kind === 'complete' ? 'Complete' : 'Incremental',
      template,
      parameters: {
        poolName: { value: `pool${pool}` },
        instanceCount: { value: count },
        adminUsername: { value: 'alice' },
        adminPassword: { value: 'Correct-Horse-7' },
        adminPublicKey: {
          value: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ0dqOPMA8xJT4Nr8tqV0Z9EEiOTjFCgZxT1n8PVyLZ alice',
        },
        storageAccountName: { value: `account${pool}` },
      },
    },
  };
}
