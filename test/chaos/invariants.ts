/**
 * What has to be true of store and engine once control has had the time to settle, whatever happened before: nothing is
 * half-made, nothing exists twice, nothing is left over, and each operation says how it ended. Reads only.
 */
import { DatabaseSync } from 'node:sqlite';

export interface EngineFacts {
  instances: readonly { name: string; address: string; power: string; labels: Readonly<Record<string, string>> }[];
  shares: readonly { account: string; share: string }[];
}

const finalStates = new Set(['Succeeded', 'Failed', 'Canceled']);

export interface History {
  /** A copy took the store's place: volumes of shares that it does not know are kept, for they hold people's work. */
  wasPutBack: boolean;
}

/** Every breach in words; none where all is well. */
export function findBreaches(storeFile: string, engine: EngineFacts, history: History): string[] {
  const database = new DatabaseSync(storeFile, { readOnly: true, timeout: 5_000 });
  try {
    return [...breaches(database, engine, history)];
  } finally {
    database.close();
  }
}

interface Row {
  [column: string]: unknown;
}

function* breaches(database: DatabaseSync, engine: EngineFacts, history: History): Generator<string> {
  const rows = (sql: string) => database.prepare(sql).all() as Row[];
  const text = (value: unknown) => (typeof value === 'string' ? value : '');
  const integrity = rows('PRAGMA integrity_check');
  if (JSON.stringify(integrity) !== '[{"integrity_check":"ok"}]')
    yield `the store is damaged: ${JSON.stringify(integrity)}`;

  const resources = new Map(rows('SELECT * FROM resources').map((row) => [text(row['key']), row]));
  for (const [key, row] of resources) {
    if (!finalStates.has(text(row['provisioning_state']))) yield `${key} is still ${text(row['provisioning_state'])}`;
    if (row['deleting_since'] !== null) yield `${key} is still being deleted`;
    if (!resources.has(text(row['group_key']))) yield `${key} is in a group that is gone`;
    const parent = text(row['parent_key']);
    // A file service has no row of its own.
    const kept = parent.replace(/\/fileservices\/default$/, '');
    if (parent !== '' && !resources.has(kept)) yield `${key} is below a resource that is gone`;
  }
  for (const row of rows(`SELECT * FROM operations WHERE status NOT IN ('Succeeded', 'Failed', 'Canceled')`))
    yield `the operation ${text(row['action'])} of ${text(row['resource_id'])} does not say how it ended`;
  for (const row of rows('SELECT * FROM deployment_steps')) {
    if (!resources.has(text(row['deployment_key'])))
      yield `a step is of a deployment that is gone: ${text(row['deployment_key'])}`;
    if (['pending', 'running'].includes(text(row['status'])))
      yield `the step ${text(row['resource_id'])} of a deployment is still ${text(row['status'])}`;
  }

  const instances = rows('SELECT * FROM instances');
  const stateOf = (row: Row) => JSON.parse(text(row['state_json'])) as { power: string; standby?: { as: string } };
  for (const row of instances) {
    if (!resources.has(text(row['scale_set_key'])))
      yield `the instance ${text(row['name'])} is of a scale set that is gone`;
    const model = rows('SELECT scale_set_key, version FROM models').some(
      (one) => one['scale_set_key'] === row['scale_set_key'] && one['version'] === row['model_version'],
    );
    if (!model) yield `the instance ${text(row['name'])} has no model`;
  }
  for (const [key, row] of resources) {
    if (text(row['type_key']) !== 'microsoft.compute/virtualmachinescalesets') continue;
    if (text(row['provisioning_state']) !== 'Succeeded') continue;
    const { sku } = JSON.parse(text(row['document_json'])) as { sku?: { capacity?: number } };
    const count = instances.filter((one) => one['scale_set_key'] === key && stateOf(one).standby === undefined).length;
    if (count !== sku?.capacity)
      yield `${key} has ${count} instances and succeeded with ${sku?.capacity ?? 'no'} asked for`;
  }

  const known = new Map(instances.map((row) => [text(row['name']), row]));
  for (const found of engine.instances) {
    const row = known.get(found.name);
    if (row === undefined) yield `the engine has ${found.name}, which nobody knows`;
    else if (row['address'] !== found.address)
      yield `${found.name} has the address ${found.address} and not ${text(row['address'])}`;
  }
  const present = new Map(engine.instances.map((one) => [one.name, one]));
  for (const [name, row] of known) {
    const set = resources.get(text(row['scale_set_key']));
    const { power, standby } = stateOf(row);
    const asked = standby?.as ?? power;
    if (text(set?.['provisioning_state']) === 'Succeeded' && present.get(name)?.power !== asked)
      yield `${name} is ${present.get(name)?.power ?? 'absent'} in the engine, and ${asked} is asked for`;
  }
  for (const what of ['name', 'address'] as const) {
    const all = engine.instances.map((one) => one[what]);
    if (new Set(all).size !== all.length) yield `two instances in the engine have the same ${what}`;
  }

  const shares = [...resources.values()]
    .filter((row) => text(row['type_key']) === 'microsoft.storage/storageaccounts/fileservices/shares')
    .map((row) => {
      const parts = text(row['key']).split('/');
      return `${parts.at(-5) ?? ''}/${parts.at(-1) ?? ''}`;
    });
  // Those that were deleted and are kept: their volumes stay.
  const kept = [...resources.values()]
    .filter((row) => text(row['type_key']) === 'microsoft.storage/storageaccounts/deletedshares')
    .map((row) => {
      const parts = text(row['key']).split('/');
      return `${parts.at(-3) ?? ''}/${parts.at(-1) ?? ''}`;
    });
  const volumes = new Set(engine.shares.map((one) => `${one.account}/${one.share}`));
  for (const share of shares) if (!volumes.has(share)) yield `the share ${share} has no volume`;
  for (const volume of volumes)
    if (!shares.includes(volume) && !kept.includes(volume) && !history.wasPutBack)
      yield `the volume ${volume} is of no share`;

  for (const row of rows(`SELECT owner_key FROM secrets WHERE owner_key <> 'installation'`))
    if (!resources.has(text(row['owner_key']))) yield `a secret is left of ${text(row['owner_key'])}`;
  for (const row of rows('SELECT owner_key FROM public_addresses'))
    if (!resources.has(text(row['owner_key']))) yield `a public address is left of ${text(row['owner_key'])}`;
  // Uids stay given: files on shares bear them, and a pool that is made again gets its own again.
  for (const row of rows('SELECT scale_set_key FROM models'))
    if (!resources.has(text(row['scale_set_key']))) yield `a model is left of ${text(row['scale_set_key'])}`;
  for (const row of rows('SELECT instance_name FROM mount_grants'))
    if (!known.has(text(row['instance_name']))) yield `a mount grant is left of ${text(row['instance_name'])}`;
}
