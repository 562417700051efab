/**
 * Rounds on the real engine: people deploy, scale and delete while processes are killed and instances vanish, at moments
 * that the seed chooses. Then all settles, and engine, store and host are compared with each other; a pool can still be
 * deployed and reached; and when every group is deleted nothing is left.
 */
import { copyFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { PoolhouseError } from '../../src/core/errors.ts';
import { homeAt, runtimeFolderOf } from '../../src/core/home.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { createArmClient } from '../../src/host/arm-client.ts';
import { readInstallation } from '../../src/host/installations.ts';
import { TestInstallation, until } from '../e2e/installation.ts';
import { plantBystanders, type Bystanders } from './bystanders.ts';
import { viewEngine, type EngineView } from './engine-view.ts';
import { findHostBreaches, type InstallationPlaces } from './host-leftovers.ts';
import { findBreaches, type History } from './invariants.ts';
import { createRandom, type Random } from './random.ts';
import { strike, type FaultName } from './real-faults.ts';
import { poolDeployment, poolTemplate, useSmallImage } from './real-pool.ts';
import { serveScript, type ScriptSource } from './script-source.ts';
import type { RoundResult } from './sim-round.ts';

export interface RealRounds {
  /** @param faults what may happen in it */
  run(seed: number, faults: readonly [FaultName, ...FaultName[]], options?: { putBack: boolean }): Promise<RoundResult>;
  installation: TestInstallation;
  close(): Promise<void>;
}

const groups = ['a', 'b'] as const;
const moves = 6;
const requests = ['deploy', 'deploy', 'scale', 'scale', 'delete instance', 'delete group', 'cancel'] as const;
/** An image is never built in a round: the longest that anything takes is an orphan's minute, and the steps' retries. */
const settleLimit = 240_000;

/** One installation for all rounds: making it takes longer than a round. */
export async function prepareRealRounds(): Promise<RealRounds> {
  const source = await serveScript();
  const installation = await TestInstallation.make({ poolGiB: 8, fetchAllow: [source.host] });
  try {
    await useSmallImage(installation.home);
    await installation.mustPoolhouse('up');
    const home = homeAt(installation.home);
    const known = await readInstallation(home);
    if (known === undefined) throw new Error('up made no installation');
    const engine = viewEngine(known.id);
    const places: InstallationPlaces = {
      id: known.id,
      home: home.folder,
      runFolder: runtimeFolderOf(home, known.id, true).folder,
      store: home.store,
    };
    const template = await poolTemplate(source.url);
    const bystanders = await plantBystanders(engine);
    return {
      installation,
      run: (seed, faults, options = { putBack: false }) =>
        runRealRound({ installation, places, engine, template, source, bystanders }, seed, faults, options),
      async close() {
        await bystanders.remove();
        engine.client.close();
        await source.close();
        await installation.destroy();
      },
    };
  } catch (error) {
    await source.close();
    await installation.destroy();
    throw error;
  }
}

interface Ground {
  installation: TestInstallation;
  places: InstallationPlaces;
  engine: EngineView;
  template: JsonObject;
  source: ScriptSource;
  bystanders: Bystanders;
}

async function runRealRound(
  ground: Ground,
  seed: number,
  faults: readonly [FaultName, ...FaultName[]],
  { putBack }: { putBack: boolean },
): Promise<RoundResult> {
  const { installation, places, engine, bystanders } = ground;
  const random = createRandom(seed);
  const story: string[] = [];
  const began = Date.now();
  const say = (words: string) => {
    story.push(`${((Date.now() - began) / 1_000).toFixed(1).padStart(6)}  ${words}`);
    if (process.env['POOLHOUSE_CHAOS_LOG'] !== undefined) console.log(story.at(-1));
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

  const client = await arm(ground);
  for (const group of groups) {
    await client.send('DELETE', groupPath(client.subscriptionId, group)).catch((error: unknown) => {
      if (!(error instanceof PoolhouseError) || error.code !== 'ResourceGroupNotFound') throw error;
    });
  }
  say('all groups are deleted');
  breaches = await settle(ground, history, () => leftovers(ground, history));
  const after = await bystanders.look();
  for (const [what, said] of Object.entries(before))
    if (after[what] !== said) breaches.push(`${what} of others was ${said} and is ${after[what] ?? 'gone'}`);
  say('the end');
  return { breaches, story };
}

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const groupPath = (subscription: string, group: string) => `/subscriptions/${subscription}/resourcegroups/${group}`;

async function arm({ installation }: Ground) {
  const home = homeAt(installation.home);
  const known = await readInstallation(home);
  if (known === undefined) throw new Error('the installation is gone');
  return createArmClient(home, known, AbortSignal.timeout(60_000));
}

/** What people ask for: one request each. Its answer is not waited for, as a script that was cut off would not. */
async function request(
  ground: Ground,
  random: Random,
  say: (words: string) => void,
  first?: 'deploy',
): Promise<void> {
  const group = random.pick(groups);
  const count = first === undefined ? random.below(3) : 2;
  const kind = first ?? random.pick([...requests]);
  const words = `${kind} ${group} ${count}`;
  try {
    const client = await arm(ground);
    const path = groupPath(client.subscriptionId, group);
    const deployment = `${path}/providers/Microsoft.Resources/deployments/d`;
    const set = `${path}/providers/Microsoft.Compute/virtualMachineScaleSets/pool${group}`;
    if (kind === 'deploy') {
      await client.send('PUT', path, { location: 'westeurope' });
      await client.send('PUT', deployment, poolDeployment(ground.template, group, count));
    }
    if (kind === 'scale') await client.send('PATCH', set, { sku: { capacity: count } });
    if (kind === 'delete instance') await client.send('POST', `${set}/delete`, { instanceIds: [String(count)] });
    if (kind === 'delete group') await client.send('DELETE', path);
    if (kind === 'cancel') await client.send('POST', `${deployment}/cancel`, {});
    say(words);
  } catch (error) {
    if (!(error instanceof PoolhouseError)) throw error;
    say(`${words}: ${error.code}`);
  }
}

/** Lets some time pass, or waits until something is under way that can be met in the middle. */
async function moment(ground: Ground, random: Random, say: (words: string) => void): Promise<void> {
  const kind = random.pick(['a while', 'a while', 'an instance is made', 'a download runs', 'a script runs']);
  const pause = random.below(kind === 'a while' ? 4_000 : 400);
  const limit = Date.now() + 3_000;
  const isNow = async () => {
    if (kind === 'an instance is made')
      return (await ground.engine.instances().catch(() => [])).some((one) => one.power !== 'running');
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
async function putStoreBack({ installation, places }: Ground, copy: string, say: (words: string) => void): Promise<void> {
  await installation.mustPoolhouse('down');
  for (const suffix of ['-wal', '-shm']) rmSync(`${places.store}${suffix}`, { force: true });
  copyFileSync(copy, places.store);
  say('the store is put back to its copy');
}

/** Waits until nothing is wrong any more; gives what still is when that takes too long. */
async function settle(
  { places, engine }: Ground,
  history: History,
  more: () => Promise<string[]> = () => Promise.resolve([]),
): Promise<string[]> {
  let breaches: string[] = [];
  await until(
    'all is well',
    async () => {
      const facts = await engine.facts();
      breaches = [
        ...findBreaches(places.store, facts, history),
        ...(await findHostBreaches(places, engine)),
        ...(await more()),
      ];
      return breaches.length === 0 ? true : undefined;
    },
    settleLimit,
  ).catch((error: unknown) => {
    if (breaches.length === 0) breaches.push(String(error));
  });
  return breaches;
}

/** After all that happened the same thing works as on the first day. */
async function deployAndReach(
  ground: Ground,
  group: string,
  say: (words: string) => void,
): Promise<string[]> {
  const client = await arm(ground);
  const path = groupPath(client.subscriptionId, group);
  const deployment = `${path}/providers/Microsoft.Resources/deployments/last`;
  await until('the group may be made', async () =>
    client.send('PUT', path, { location: 'westeurope' }).catch((error: unknown) => {
      if (!(error instanceof PoolhouseError) || error.code !== 'ResourceGroupBeingDeleted') throw error;
      return undefined;
    }),
  );
  await client.send('PUT', deployment, poolDeployment(ground.template, group, 1));
  const ended = await until(
    'the deployment has ended',
    async () => {
      const { body } = await client.send('GET', deployment);
      const { provisioningState } = body['properties'] as { provisioningState: string }; // our own API's shape
      return ['Succeeded', 'Failed', 'Canceled'].includes(provisioningState) ? body : undefined;
    },
    120_000,
  );
  const { provisioningState, error, outputs } = ended['properties'] as {
    provisioningState: string;
    error?: unknown;
    outputs?: { address?: { value: string } };
  };
  say(`one more deployment: ${provisioningState}`);
  if (provisioningState !== 'Succeeded') return [`a deployment failed: ${JSON.stringify(error)}`];
  const address = outputs?.address?.value ?? '';
  const greeting = await until(
    `ssh answers at ${address}`,
    async () => ((await greetingOf(address)).startsWith('SSH-') ? true : undefined),
    30_000,
  ).catch((thrown: unknown) => String(thrown));
  return greeting === true ? [] : [greeting];
}

function greetingOf(address: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port: 22, timeout: 3_000 });
    const end = (text: string) => {
      socket.destroy();
      resolve(text);
    };
    socket.once('data', (bytes: Buffer) => {
      end(bytes.toString('latin1'));
    });
    socket.once('timeout', () => {
      end('');
    });
    socket.once('error', () => {
      end('');
    });
    socket.once('close', () => {
      end('');
    });
  });
}

/** After every group was deleted nothing may be left at all, but for volumes that a put back store does not know. */
async function leftovers({ places, engine }: Ground, history: History): Promise<string[]> {
  const facts = await engine.facts();
  const left = facts.instances.map((one) => `the engine still has ${one.name}`);
  const database = new DatabaseSync(places.store, { readOnly: true, timeout: 5_000 });
  try {
    for (const table of ['resources', 'instances', 'models', 'deployment_steps', 'public_addresses', 'mount_grants']) {
      const rows = database.prepare(`SELECT * FROM ${table}`).all();
      if (rows.length > 0) left.push(`${table} still has ${rows.length} rows: ${JSON.stringify(rows[0]).slice(0, 200)}`);
    }
  } finally {
    database.close();
  }
  if (left.length > 0 || !history.wasPutBack) return left;
  // Kept on purpose; the next round begins without them.
  const pool = `/1.0/storage-pools/poolhouse-${places.id}-shares/volumes/custom`;
  for (const path of (await engine.get(`${pool}?project=${engine.project}`)) as string[])
    await engine.change('DELETE', `${pool}/${path.split('/').at(-1)?.split('?')[0] ?? ''}?project=${engine.project}`);
  return left;
}
