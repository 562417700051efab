/** Instances as control keeps them. Their ids are never used again, not even after a scale to zero. */
import { PoolhouseError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import type { ResourceKey } from '../core/resource-id.ts';
import type { EpochMillis } from '../core/time.ts';
import { engineName, instanceSuffix } from '../pool/claim.ts';
import { spreadOverZones } from '../pool/zones.ts';
import { newInstanceState, type InstanceState, type StandbyPower } from '../pool/instance-state.ts';
import { nextOf, raiseCounter, type Queries } from './store.ts';
import type { InstanceRow } from './schema.ts';

export interface InstanceRecord {
  scaleSetKey: ResourceKey;
  instanceId: number;
  /** Name in the engine. */
  name: string;
  hostname: string;
  address: string;
  modelVersion: string;
  state: InstanceState;
  createdAt: EpochMillis;
}

function instanceOf(row: InstanceRow): InstanceRecord {
  return {
    scaleSetKey: row.scale_set_key as ResourceKey,
    instanceId: row.instance_id,
    name: row.name,
    hostname: row.hostname,
    address: row.address,
    modelVersion: row.model_version,
    state: JSON.parse(row.state_json) as InstanceState,
    createdAt: row.created_at,
  };
}

/** The instances of one scale set, or all, by their ids. */
export async function findInstances(queries: Queries, scaleSetKey?: string): Promise<InstanceRecord[]> {
  let query = queries.selectFrom('instances').selectAll().orderBy('scale_set_key').orderBy('instance_id');
  if (scaleSetKey !== undefined) query = query.where('scale_set_key', '=', scaleSetKey);
  return (await query.execute()).map(instanceOf);
}

/** As people name it: by its hostname, or by its name in the engine. */
export async function findNamedInstance(queries: Queries, name: string): Promise<InstanceRecord | undefined> {
  return (await findInstances(queries)).find((one) => one.hostname === name || one.name === name);
}

export async function findInstance(
  queries: Queries,
  scaleSetKey: string,
  instanceId: number,
): Promise<InstanceRecord | undefined> {
  const row = await queries
    .selectFrom('instances')
    .selectAll()
    .where('scale_set_key', '=', scaleSetKey)
    .where('instance_id', '=', instanceId)
    .executeTakeFirst();
  return row === undefined ? undefined : instanceOf(row);
}

export interface NewInstances {
  scaleSetKey: ResourceKey;
  count: number;
  modelVersion: string;
  hostnamePrefix: string;
  /** Stem of the engine's names: unique to the scale set. */
  nameStem: string;
  /** Addresses in order of preference; taken ones are passed over. */
  addresses: Iterable<string>;
  /** Addresses that somebody has whom the store does not know. */
  taken: ReadonlySet<string>;
  natPools: readonly { key: string; portStart: number; portEnd: number }[];
  /** Those that the scale set spreads its instances over. */
  zones: readonly string[];
  /** How they wait, where they are not to be counted. */
  standby?: StandbyPower | undefined;
  now: EpochMillis;
}

/** Writes down new instances with ids and addresses of their own. `QuotaExceeded` where addresses or ports run out. */
export async function allocateInstances(tx: Queries, request: NewInstances): Promise<void> {
  const rows = await tx.selectFrom('instances').select('address').execute();
  const taken = new Set([...rows.map((row) => row.address), ...request.taken]);
  const siblings = await natPortsOf(tx, request.scaleSetKey);
  const zones = spreadOverZones(await zonesOf(tx, request.scaleSetKey), request.zones, request.count);
  const addresses = request.addresses[Symbol.iterator]();
  const nextAddress = () => {
    for (let next = addresses.next(); next.done !== true; next = addresses.next())
      if (!taken.has(next.value)) return next.value;
    throw new PoolhouseError(
      'QuotaExceeded',
      'The network of this installation has no free address left for another instance. Delete instances, or set a larger `instanceRange` in config.json before the first `up`.',
    );
  };
  for (let made = 0; made < request.count; made += 1) {
    const natPorts = freeNatPorts(request.natPools, siblings);
    siblings.push(natPorts);
    const instanceId = await nextOf(tx, counterOf(request.scaleSetKey));
    await tx
      .insertInto('instances')
      .values({
        scale_set_key: request.scaleSetKey,
        instance_id: instanceId,
        name: engineName(request.nameStem, instanceId),
        hostname: `${request.hostnamePrefix}${instanceSuffix(instanceId)}`.toLowerCase(),
        address: nextAddress(),
        model_version: request.modelVersion,
        state_json: JSON.stringify({
          ...newInstanceState(),
          natPorts,
          zone: zones[made],
          ...(request.standby === undefined ? {} : { standby: { since: request.now, as: request.standby } }),
        }),
        created_at: request.now,
      })
      .execute();
  }
}

/**
 * Writes down an instance that the engine has already, as it was found there; its id is never given again. What was run in
 * it is not known: it is prepared anew, as one that was just made.
 */
export async function adoptInstance(
  tx: Queries,
  adopted: Omit<InstanceRecord, 'state'> & { natPools: NewInstances['natPools']; zone: string | undefined },
): Promise<void> {
  const natPorts = freeNatPorts(adopted.natPools, await natPortsOf(tx, adopted.scaleSetKey));
  await raiseCounter(tx, counterOf(adopted.scaleSetKey), adopted.instanceId);
  await tx
    .insertInto('instances')
    .values({
      scale_set_key: adopted.scaleSetKey,
      instance_id: adopted.instanceId,
      name: adopted.name,
      hostname: adopted.hostname,
      address: adopted.address,
      model_version: adopted.modelVersion,
      state_json: JSON.stringify({ ...newInstanceState(), created: true, natPorts, zone: adopted.zone }),
      created_at: adopted.createdAt,
    })
    .execute();
}

const counterOf = (scaleSetKey: string) => `instances of ${scaleSetKey}`;

async function statesOf(tx: Queries, scaleSetKey: string): Promise<InstanceState[]> {
  const rows = await tx.selectFrom('instances').select('state_json').where('scale_set_key', '=', scaleSetKey).execute();
  return rows.map((row) => JSON.parse(row.state_json) as InstanceState);
}

async function zonesOf(tx: Queries, scaleSetKey: string): Promise<InstanceState['zone'][]> {
  return (await statesOf(tx, scaleSetKey)).map(({ zone }) => zone);
}

async function natPortsOf(tx: Queries, scaleSetKey: string): Promise<InstanceState['natPorts'][]> {
  return (await statesOf(tx, scaleSetKey)).map(({ natPorts }) => natPorts);
}

/** A port of each NAT pool that none of the siblings has. */
function freeNatPorts(
  pools: NewInstances['natPools'],
  siblings: readonly InstanceState['natPorts'][],
): Record<string, number> {
  const natPorts: Record<string, number> = {};
  for (const pool of pools) {
    const used = new Set(siblings.map((ports) => ports[pool.key]));
    let port = pool.portStart;
    while (used.has(port)) port += 1;
    if (port > pool.portEnd)
      throw new PoolhouseError(
        'QuotaExceeded',
        `The inbound NAT pool ${pool.key} has no front end port left (${pool.portStart} to ${pool.portEnd}).`,
      );
    natPorts[pool.key] = port;
  }
  return natPorts;
}

/** Changes what is known of an instance; nil where it is gone. `change` gets the newest state. */
export async function updateInstanceState(
  tx: Queries,
  instance: Pick<InstanceRecord, 'scaleSetKey' | 'instanceId'>,
  change: (state: InstanceState) => InstanceState,
): Promise<void> {
  const current = await findInstance(tx, instance.scaleSetKey, instance.instanceId);
  if (current === undefined) return;
  await tx
    .updateTable('instances')
    .set({ state_json: JSON.stringify(change(current.state)) })
    .where('scale_set_key', '=', instance.scaleSetKey)
    .where('instance_id', '=', instance.instanceId)
    .execute();
}

/** What an instance is made of from now on. */
export async function setInstanceModel(
  tx: Queries,
  instance: Pick<InstanceRecord, 'scaleSetKey' | 'instanceId'>,
  version: string,
): Promise<void> {
  await tx
    .updateTable('instances')
    .set({ model_version: version })
    .where('scale_set_key', '=', instance.scaleSetKey)
    .where('instance_id', '=', instance.instanceId)
    .execute();
}

/** The handles for keys that its scripts were given are good for nothing any more. */
export async function forgetMountGrants(tx: Queries, { name }: Pick<InstanceRecord, 'name'>): Promise<void> {
  await tx.deleteFrom('mount_grants').where('instance_name', '=', name).execute();
}

export async function eraseInstance(
  tx: Queries,
  instance: Pick<InstanceRecord, 'scaleSetKey' | 'instanceId' | 'name'>,
): Promise<void> {
  await forgetMountGrants(tx, instance);
  await tx
    .deleteFrom('instances')
    .where('scale_set_key', '=', instance.scaleSetKey)
    .where('instance_id', '=', instance.instanceId)
    .execute();
}

/** What instances of one version are made of. */
export interface Model {
  version: string;
  /** The profile as stored: secrets are placeholders of the scale set. */
  profile: JsonObject;
  sizeName: string;
}

export async function findModel(queries: Queries, scaleSetKey: string, version: string): Promise<Model | undefined> {
  const row = await queries
    .selectFrom('models')
    .selectAll()
    .where('scale_set_key', '=', scaleSetKey)
    .where('version', '=', version)
    .executeTakeFirst();
  if (row === undefined) return undefined;
  const sku = JSON.parse(row.sku_json) as { name: string };
  return { version: row.version, profile: JSON.parse(row.profile_json) as JsonObject, sizeName: sku.name };
}

/** The size of each instance there is, by its name in the engine. */
export async function findSizeNames(queries: Queries): Promise<ReadonlyMap<string, string>> {
  const rows = await queries
    .selectFrom('instances')
    .innerJoin('models', (join) =>
      join
        .onRef('models.scale_set_key', '=', 'instances.scale_set_key')
        .onRef('models.version', '=', 'instances.model_version'),
    )
    .select(['instances.name', 'models.sku_json'])
    .execute();
  return new Map(rows.map((row) => [row.name, (JSON.parse(row.sku_json) as { name: string }).name]));
}

export async function saveModel(tx: Queries, scaleSetKey: string, model: Model): Promise<void> {
  await tx
    .insertInto('models')
    .values({
      scale_set_key: scaleSetKey,
      version: model.version,
      profile_json: JSON.stringify(model.profile),
      sku_json: JSON.stringify({ name: model.sizeName }),
    })
    .onConflict((conflict) => conflict.columns(['scale_set_key', 'version']).doNothing())
    .execute();
}
