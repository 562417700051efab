import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { groupId, keyOf } from '../core/resource-id.ts';
import { backUpStore } from './backup.ts';
import { migrations } from './migrations.ts';
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

  it('is copied before a newer program changes it, and is as it was where that fails', async () => {
    const file = join(folder, 'store.sqlite');
    const backups = join(folder, 'backups');
    const first = await openStore(file, { migrations: migrations.slice(0, 1), backups });
    await saveResource(first.db, group);
    await first.close();
    expect(existsSync(backups)).toBe(false);

    const broken = openStore(file, {
      migrations: [...migrations, 'CREATE TABLE oops (;'],
      backups,
      now: Date.UTC(2026, 0, 2),
    });
    await expect(broken).rejects.toThrow();
    const second = await openStore(file, { backups, now: Date.UTC(2026, 0, 3) });
    expect(await findResource(second.db, id)).toEqual(group);
    await second.close();
    // The second migration succeeded before the third one failed: what it left was up to date.
    expect(readdirSync(backups)).toEqual(['store-v1-20260102T000000Z.sqlite']);
    const copy = join(backups, 'store-v1-20260102T000000Z.sqlite');
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    const older = await openStore(copy, { migrations: migrations.slice(0, 1) });
    expect(await findResource(older.db, id)).toEqual(group);
    await older.close();
  });

  it('keeps five copies', async () => {
    const store = await openStore(join(folder, 'store.sqlite'));
    for (let day = 1; day <= 7; day += 1) await backUpStore(store.db, folder, 10 - day, Date.UTC(2026, 0, day));
    const copies = readdirSync(folder).filter((name) => name.startsWith('store-'));
    expect(copies).toHaveLength(5);
    expect(copies).not.toContain('store-v9-20260101T000000Z.sqlite');
    await store.close();
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
