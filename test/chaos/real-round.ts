/**
 * Rounds on the real engine: people deploy, scale and delete while processes are killed and instances vanish, at moments
 * that the seed chooses. Then all settles, and engine, store and host are compared with each other; a pool can still be
 * deployed and reached; and when every group is deleted nothing is left.
 */
import { copyFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { PoolhouseError } from '../../src/core/errors.ts';
import type { History } from './invariants.ts';
import { createRandom, type Random } from './random.ts';
import { strike, type FaultName } from './real-faults.ts';
import {
  armOf,
  deleteGroups,
  deployPool,
  groupPath,
  groups,
  leftovers,
  settle,
  switchOn,
  whyNotReached,
  type Ground,
} from './real-ground.ts';
import { poolDeployment } from './real-pool.ts';
import type { RoundResult } from './sim-round.ts';

const moves = 6;
const requests = [
  'deploy',
  'deploy',
  'scale',
  'scale',
  'switch off',
  'delete instance',
  'delete group',
  'cancel',
  'restart',
  'reimage',
  'upgrade',
  'standby',
] as const;

export interface RoundKind {
  /** What may happen in it. */
  faults: readonly [FaultName, ...FaultName[]];
  /** The store is put back to a copy from before. */
  putBack: boolean;
}

export async function runRealRound(ground: Ground, seed: number, { faults, putBack }: RoundKind): Promise<RoundResult> {
  const { installation, places, engine, bystanders } = ground;
  const random = createRandom(seed);
  const story: string[] = [];
  const began = Date.now();
  const say = (words: string) => {
    story.push(`${((Date.now() - began) / 1_000).toFixed(1).padStart(6)}  ${words}`);
    if (process.env['POOLHOUSE_CHAOS_LOG'] !== undefined) process.stderr.write(`${story.at(-1) ?? ''}\n`);
  };
  const before = await bystanders.look();
  const history: History = { wasPutBack: false };
  const copy = join(installation.home, 'store.copy');
  const up = async () => {
    say('up');
    await installation.mustPoolhouse('up');
    say('is up');
  };

  const copyAt = putBack ? random.below(moves - 2) : -1;
  for (let move = 0; move < moves; move += 1) {
    await request(ground, random, say, move === 0 ? 'deploy' : undefined);
    await moment(ground, random, say);
    if (move === copyAt) {
      copyStore(places.store, copy);
      say('the store is copied');
    }
    if (move > copyAt && putBack && !history.wasPutBack && random.below(3) === 0) {
      await putStoreBack(ground, copy, say);
      history.wasPutBack = true;
      await up();
      continue;
    }
    if (random.below(4) === 0) continue;
    const fault = random.pick(faults);
    const { met, needsUp } = await strike(fault, places, engine, random);
    say(`!! ${fault}: ${met}`);
    if (!needsUp) continue;
    if (random.below(2) === 0) await request(ground, random, say); // while nobody is there to hear it, maybe
    await sleep(random.below(2_000));
    await up();
  }
  if (putBack && !history.wasPutBack) {
    await putStoreBack(ground, copy, say);
    history.wasPutBack = true;
    await up();
  }

  let breaches = await settle(ground, history);
  say(breaches.length === 0 ? 'all is well' : 'all is not well');
  if (breaches.length === 0) breaches = await deployAndReach(ground, random.pick(groups), say);
  if (breaches.length === 0) breaches = await settle(ground, history);
  if (breaches.length > 0) return { breaches, story };

  await deleteGroups(ground);
  say('all groups are deleted');
  breaches = await settle(ground, history, () => leftovers(ground, history));
  const after = await bystanders.look();
  for (const [what, said] of Object.entries(before))
    if (after[what] !== said) breaches.push(`${what} of others was ${said} and is ${after[what] ?? 'gone'}`);
  say('the end');
  return { breaches, story };
}

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** What people ask for: one request each. Its answer is not waited for, as a script that was cut off would not. */
async function request(ground: Ground, random: Random, say: (words: string) => void, first?: 'deploy'): Promise<void> {
  const group = random.pick(groups);
  const count = first === undefined ? random.below(3) : 2;
  const kind = first ?? random.pick([...requests]);
  const words = `${kind} ${group} ${count}`;
  try {
    const client = await armOf(ground);
    const path = groupPath(client, group);
    const deployment = `${path}/providers/Microsoft.Resources/deployments/d`;
    const set = `${path}/providers/Microsoft.Compute/virtualMachineScaleSets/pool${group}`;
    if (kind === 'deploy') {
      await client.send('PUT', path, { location: 'westeurope' });
      await client.send('PUT', deployment, poolDeployment(ground.template, group, count));
    }
    if (kind === 'scale') await client.send('PATCH', set, { sku: { capacity: count } });
    if (kind === 'delete instance') await client.send('POST', `${set}/delete`, { instanceIds: [String(count)] });
    if (kind === 'switch off') await client.send('POST', `${set}/deallocate`, {});
    if (kind === 'delete group') await client.send('DELETE', path);
    if (kind === 'restart' || kind === 'reimage') await client.send('POST', `${set}/${kind}`, {});
    if (kind === 'upgrade')
      await client.send('PATCH', set, {
        sku: { name: random.pick(['Standard_B1s', 'Standard_B1ms']) },
        properties: { upgradePolicy: { mode: random.pick(['Automatic', 'Rolling']) } },
      });
    if (kind === 'standby')
      await client.send('PATCH', set, {
        tags: {
          'poolhouse-standby': String(random.below(2)),
          'poolhouse-standby-power': random.pick(['stopped', 'frozen']),
        },
      });
    if (kind === 'cancel') await client.send('POST', `${deployment}/cancel`, {});
    say(words);
  } catch (error) {
    if (!(error instanceof PoolhouseError)) throw error;
    say(`${words}: ${error.code}`);
  }
}

/** Lets some time pass, or waits until something is under way that can be met in the middle. */
async function moment(ground: Ground, random: Random, say: (words: string) => void): Promise<void> {
  const kind = random.pick([
    'a while',
    'the engine is at work',
    'the engine is at work',
    'a download runs',
    'a script runs',
  ]);
  const pause = random.below(kind === 'a while' ? 4_000 : 400);
  const limit = Date.now() + 3_000;
  const isNow = async () => {
    if (kind === 'the engine is at work') return ground.engine.isBusy().catch(() => true);
    if (kind === 'a download runs') return ground.source.busy() > 0;
    if (kind === 'a script runs')
      return askStore(ground.places.store, `SELECT 1 FROM instances WHERE state_json LIKE '%"status":"running"%'`);
    return true;
  };
  while (!(await isNow()) && Date.now() < limit) await sleep(20);
  await sleep(pause);
  say(`   (${kind}, and ${pause} ms)`);
}

function askStore(file: string, sql: string): boolean {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 5_000 });
  try {
    return database.prepare(sql).get() !== undefined;
  } finally {
    database.close();
  }
}

function copyStore(file: string, copy: string): void {
  rmSync(copy, { force: true });
  const database = new DatabaseSync(file, { timeout: 5_000 });
  try {
    database.exec(`VACUUM INTO '${copy}'`);
  } finally {
    database.close();
  }
}

/** As who restores a backup does it. */
async function putStoreBack(
  { installation, places }: Ground,
  copy: string,
  say: (words: string) => void,
): Promise<void> {
  await installation.mustPoolhouse('down');
  for (const suffix of ['-wal', '-shm']) rmSync(`${places.store}${suffix}`, { force: true });
  copyFileSync(copy, places.store);
  say('the store is put back to its copy');
}

/** After all that happened the same thing works as on the first day. */
async function deployAndReach(ground: Ground, group: string, say: (words: string) => void): Promise<string[]> {
  await switchOn(ground, group);
  const { state, error, address } = await deployPool(ground, group, 1);
  say(`one more deployment: ${state}`);
  if (state !== 'Succeeded') return [`a deployment failed: ${error}`];
  const silent = await whyNotReached(address);
  return silent === undefined ? [] : [silent];
}
