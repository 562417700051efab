/**
 * Where rounds on the real engine take place: one installation, other people's things beside it, and the questions that
 * are asked of both. Making it takes longer than a round, so one serves for all.
 */
import { connect } from 'node:net';
import { DatabaseSync } from 'node:sqlite';
import { PoolhouseError } from '../../src/core/errors.ts';
import { homeAt, runtimeFolderOf } from '../../src/core/home.ts';
import type { JsonObject } from '../../src/core/json.ts';
import { createArmClient, type ArmClient } from '../../src/host/arm-client.ts';
import { readInstallation } from '../../src/host/installations.ts';
import { TestInstallation, until } from '../e2e/installation.ts';
import { plantBystanders, type Bystanders } from './bystanders.ts';
import { viewEngine, type EngineView } from './engine-view.ts';
import { findHostBreaches, type InstallationPlaces } from './host-leftovers.ts';
import { findBreaches, type History } from './invariants.ts';
import { poolDeployment, poolTemplate, useSmallImage } from './real-pool.ts';
import { serveScript, type ScriptSource } from './script-source.ts';

/** Two groups, each with its own pool, account and user. */
export const groups = ['a', 'b'] as const;

/** An image is never built in a round: the longest that anything takes is an orphan's minute, and the steps' retries. */
const settleLimit = 240_000;

export interface Ground {
  installation: TestInstallation;
  places: InstallationPlaces;
  engine: EngineView;
  template: JsonObject;
  source: ScriptSource;
  bystanders: Bystanders;
  /** Removes all of it. */
  close(): Promise<void>;
}

export async function prepareGround(): Promise<Ground> {
  const source = await serveScript();
  const installation = await TestInstallation.make({
    poolGiB: 5,
    fetchAllow: [source.host],
    apiPort: 20_000 + (process.pid % 10_000), // another installation that is made meanwhile takes the usual one
  });
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
      places,
      engine,
      template,
      source,
      bystanders,
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

export const groupPath = (client: ArmClient, group: string) =>
  `/subscriptions/${client.subscriptionId}/resourcegroups/${group}`;

export async function armOf({ installation }: Ground): Promise<ArmClient> {
  const home = homeAt(installation.home);
  const known = await readInstallation(home);
  if (known === undefined) throw new Error('the installation is gone');
  return createArmClient(home, known, AbortSignal.timeout(180_000));
}

/** Waits until nothing is wrong any more; gives what still is when that takes too long. */
export async function settle(
  ground: Ground,
  history: History,
  more: () => Promise<string[]> = () => Promise.resolve([]),
): Promise<string[]> {
  const { places, engine } = ground;
  const silence = () =>
    armOf(ground).then(
      () => [],
      (error: unknown) => [String(error)],
    );
  let breaches: string[] = [];
  await until(
    'all is well',
    async () => {
      // A daemon that was killed is on its way back.
      const facts = await engine.facts().catch((error: unknown) => String(error));
      if (typeof facts === 'string') {
        breaches = [facts];
        return undefined;
      }
      breaches = [
        ...findBreaches(places.store, facts, history),
        ...(await findHostBreaches(places, engine)),
        ...(await silence()),
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

export interface DeploymentEnd {
  state: string;
  error: string;
  address: string;
}

/** Deploys a group's pool, and waits for its end. */
export async function deployPool(ground: Ground, group: string, count: number): Promise<DeploymentEnd> {
  const client = await armOf(ground);
  const path = groupPath(client, group);
  const deployment = `${path}/providers/Microsoft.Resources/deployments/last`;
  await until('the group may be made', async () =>
    client.send('PUT', path, { location: 'westeurope' }).catch((error: unknown) => {
      if (!(error instanceof PoolhouseError) || error.code !== 'ResourceGroupBeingDeleted') throw error;
      return undefined;
    }),
  );
  await client.send('PUT', deployment, poolDeployment(ground.template, group, count));
  return until(
    'the deployment has ended',
    async () => {
      const { body } = await client.send('GET', deployment);
      const { provisioningState, error, outputs } = body['properties'] as {
        provisioningState: string;
        error?: unknown;
        outputs?: { address?: { value: string } };
      }; // our own API's shape
      if (!['Succeeded', 'Failed', 'Canceled'].includes(provisioningState)) return undefined;
      return {
        state: provisioningState,
        error: error === undefined ? '' : JSON.stringify(error),
        address: outputs?.address?.value ?? '',
      };
    },
    120_000,
  );
}

/** Nil where there is no pool. */
export async function switchOn(ground: Ground, group: string): Promise<void> {
  const client = await armOf(ground);
  const set = `${groupPath(client, group)}/providers/Microsoft.Compute/virtualMachineScaleSets/pool${group}`;
  await client.send('POST', `${set}/start`, {}).catch((error: unknown) => {
    if (!(error instanceof PoolhouseError) || !/NotFound$/.test(error.code)) throw error;
  });
}

export async function deleteGroups(ground: Ground): Promise<void> {
  const client = await armOf(ground);
  for (const group of groups) {
    await client.send('DELETE', groupPath(client, group)).catch((error: unknown) => {
      if (!(error instanceof PoolhouseError) || error.code !== 'ResourceGroupNotFound') throw error;
    });
  }
}

/** Undefined when an instance's sshd greets at a front end. */
export async function whyNotReached(address: string): Promise<string | undefined> {
  return until(
    `ssh answers at ${address}`,
    async () => ((await greetingOf(address)).startsWith('SSH-') ? true : undefined),
    30_000,
  ).then(
    () => undefined,
    (error: unknown) => String(error),
  );
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
export async function leftovers({ places, engine }: Ground, history: History): Promise<string[]> {
  const facts = await engine.facts();
  const left = facts.instances.map((one) => `the engine still has ${one.name}`);
  const database = new DatabaseSync(places.store, { readOnly: true, timeout: 5_000 });
  try {
    for (const table of ['resources', 'instances', 'models', 'deployment_steps', 'public_addresses', 'mount_grants']) {
      const rows = database.prepare(`SELECT * FROM ${table}`).all();
      if (rows.length > 0)
        left.push(`${table} still has ${rows.length} rows: ${JSON.stringify(rows[0]).slice(0, 200)}`);
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
