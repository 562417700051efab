import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { groupId, keyOf } from '../core/resource-id.ts';
import { beginOperation, endOperation, findOperation, openOperations } from './operations.ts';
import { findResource, findResources, saveResource, type ResourceRecord } from './resource-records.ts';
import { nextOf, openStore } from './store.ts';

const id = groupId('s', 'Team');
const group: ResourceRecord = {
  key: keyOf(id),
  id,
  typeKey: 'microsoft.resources/resourcegroups',
  groupKey: keyOf(id),
  parentKey: '',
  document: { location: 'local', tags: { a: 'ü' } },
  found: {},
  provisioningState: 'Succeeded',
  error: undefined,
  generation: 1,
  etag: 'e',
  createdAt: 1,
  changedAt: 1,
  deletingSince: undefined,
};

describe('the store', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'poolhouse-store-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  it('gives back what was saved, by an id in any case', async () => {
    const store = await openStore(join(folder, 'store.sqlite'));
    await saveResource(store.db, group);
    expect(await findResource(store.db, id.toUpperCase())).toEqual(group);
    expect(await findResources(store.db, { type: 'Microsoft.Resources/resourceGroups' })).toHaveLength(1);
    await store.close();
  });

  it('keeps all of a transaction or nothing', async () => {
    const store = await openStore(join(folder, 'store.sqlite'));
    const failing = store.transaction(async (tx) => {
      await saveResource(tx, group);
      throw new Error('power cut');
    });
    await expect(failing).rejects.toThrow('power cut');
    expect(await findResource(store.db, id)).toBeUndefined();
    await store.close();
  });

  it('refuses a file that a newer program wrote', async () => {
    const file = join(folder, 'store.sqlite');
    const store = await openStore(file);
    await sql`PRAGMA user_version = 999`.execute(store.db);
    await store.close();
    await expect(openStore(file)).rejects.toMatchObject({ code: 'InvalidConfiguration' });
  });

  it('counts on over a restart', async () => {
    const file = join(folder, 'store.sqlite');
    const first = await openStore(file);
    expect([await nextOf(first.db, 'c'), await nextOf(first.db, 'c'), await nextOf(first.db, 'd')]).toEqual([0, 1, 0]);
    await first.close();
    const second = await openStore(file);
    expect(await nextOf(second.db, 'c')).toBe(2);
    await second.close();
  });

  it('ends an operation once', async () => {
    const store = await openStore(':memory:');
    await beginOperation(store.db, {
      id: 'o',
      resourceKey: group.key,
      resourceId: id,
      action: 'put',
      generation: 1,
      startedAt: 5,
    });
    expect(await openOperations(store.db, group.key)).toHaveLength(1);
    await endOperation(store.db, 'o', { status: 'Failed', error: { code: 'X', message: 'm' }, at: 6 });
    await endOperation(store.db, 'o', { status: 'Succeeded', at: 7 });
    expect(await findOperation(store.db, 'o')).toMatchObject({ status: 'Failed', error: { code: 'X' }, endedAt: 6 });
    await store.close();
  });
});
