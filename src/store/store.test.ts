import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'kysely';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { groupId, keyOf } from '../core/resource-id.ts';
import { backUpStore, superfluousCopies } from './backup.ts';
import { migrations } from './migrations.ts';
import { beginOperation, endOperation, findOperation, forgetOperations, openOperations } from './operations.ts';
import { findResource, findResources, saveResource, type ResourceRecord } from './resource-records.ts';
import { nextOf, openStore, refuseNewerStore } from './store.ts';

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

const operation = { resourceKey: group.key, resourceId: id, action: 'put', generation: 1, startedAt: 5 };

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
    expect(() => {
      refuseNewerStore(file, '/backups');
    }).toThrow('Install that version again, or restore a copy from before from /backups.');
    expect(() => {
      refuseNewerStore(join(folder, 'none'), '/backups');
    }).not.toThrow();
  });

  it('is copied before a newer program changes it, and is as it was where that fails', async () => {
    const file = join(folder, 'store.sqlite');
    const backups = join(folder, 'backups');
    const known = migrations.slice(0, 1);
    const first = await openStore(file, { migrations: known, backups });
    await saveResource(first.db, group);
    await first.close();
    expect(existsSync(backups)).toBe(false);

    const newer = [...known, 'CREATE TABLE more (a TEXT)', 'DROP TABLE resources; CREATE TABLE oops (;'];
    for (const day of [2, 3, 4])
      await expect(openStore(file, { migrations: newer, backups, now: Date.UTC(2026, 0, day) })).rejects.toThrow();
    // Neither the first of the two was kept; and tries again leave one copy, not many.
    const again = await openStore(file, { migrations: known, backups });
    expect(await findResource(again.db, id)).toEqual(group);
    await again.close();
    expect(readdirSync(backups)).toEqual(['store-v1-20260104T000000Z.sqlite']);

    const second = await openStore(file, { backups, now: Date.UTC(2026, 0, 5) });
    expect(await findResource(second.db, id)).toEqual(group);
    await second.close();
    const copy = join(backups, 'store-v1-20260105T000000Z.sqlite');
    expect(statSync(copy).mode & 0o777).toBe(0o600);
    const older = await openStore(copy, { migrations: known });
    expect(await findResource(older.db, id)).toEqual(group);
    await older.close();
  });

  it('is as it was when the newer program is killed in the middle', async () => {
    const file = join(folder, 'store.sqlite');
    const backups = join(folder, 'backups');
    const known = migrations.slice(0, 1);
    const first = await openStore(file, { migrations: known });
    await saveResource(first.db, group);
    await first.close();
    const endless = `
      CREATE TABLE numbers (n INTEGER) STRICT;
      DELETE FROM resources;
      INSERT INTO numbers WITH RECURSIVE all_of_them (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM all_of_them LIMIT 1000000000)
        SELECT n FROM all_of_them`;
    const program = `
      import { openStore } from ${JSON.stringify(join(import.meta.dirname, 'store.ts'))};
      await openStore(${JSON.stringify(file)}, ${JSON.stringify({ migrations: [...known, endless], backups, now: 0 })});`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: 'ignore' });
    const ended = once(child, 'exit');
    try {
      // What does not fit into memory any more goes into the log beside the store: then it is in the middle.
      await vi.waitUntil(() => (statSync(`${file}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 2 ** 20, 15_000);
      expect(child.exitCode).toBeNull();
    } finally {
      child.kill('SIGKILL');
      await ended;
    }
    const again = await openStore(file, { migrations: known });
    expect(await findResource(again.db, id)).toEqual(group);
    await again.close();
    expect(readdirSync(backups)).toEqual(['store-v1-19700101T000000Z.sqlite']);
  });

  it('leaves nothing of a copy that was cut off', async () => {
    const store = await openStore(join(folder, 'store.sqlite'));
    for (const name of ['store-v1-20250101T000000Z.sqlite.new', 'store-v1-20250101T000000Z.sqlite.new-journal'])
      writeFileSync(join(folder, name), 'half');
    await backUpStore(store.db, folder, 2, Date.UTC(2026, 0, 1));
    expect(readdirSync(folder).filter((name) => name.startsWith('store-'))).toEqual([
      'store-v2-20260101T000000Z.sqlite',
    ]);
    await store.close();
  });

  it.each<[what: string, names: string[], superfluous: string[]]>([
    ['none', ['notes.txt'], []],
    [
      'an older one of the same version',
      ['store-v1-20260101T000000Z.sqlite', 'store-v1-20260102T000000Z.sqlite', 'store-v2-20250101T000000Z.sqlite'],
      ['store-v1-20260101T000000Z.sqlite'],
    ],
    [
      'the oldest of more than five versions',
      [7, 6, 5, 4, 3, 2, 10].map((version, day) => `store-v${version}-2026010${day}T000000Z.sqlite`),
      ['store-v6-20260101T000000Z.sqlite', 'store-v7-20260100T000000Z.sqlite'],
    ],
  ])('does not need of its copies: %s', (_what, names, superfluous) => {
    expect(superfluousCopies(names)).toEqual(superfluous);
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

  it('forgets operations that ended long ago, but not what a deployment tells of', async () => {
    const store = await openStore(':memory:');
    for (const [id, endsAt] of [
      ['old', 10],
      ['new', 20],
      ['told', 10],
      ['open', undefined],
    ] as const) {
      await beginOperation(store.db, { ...operation, id });
      if (endsAt !== undefined) await endOperation(store.db, id, { status: 'Succeeded', at: endsAt });
    }
    await store.db
      .insertInto('deployment_steps')
      .values({
        deployment_key: 'd',
        resource_key: group.key,
        resource_id: operation.resourceId,
        position: 0,
        status: 'Succeeded',
        operation_id: 'told',
        error_json: null,
        started_at: 1,
        ended_at: 10,
      })
      .execute();
    expect(await forgetOperations(store.db, 15)).toBe(1);
    const left = await store.db.selectFrom('operations').select('id').orderBy('id').execute();
    expect(left.map((row) => row.id)).toEqual(['new', 'open', 'told']);
    await store.close();
  });

  it('ends an operation once', async () => {
    const store = await openStore(':memory:');
    await beginOperation(store.db, { ...operation, id: 'o' });
    expect(await openOperations(store.db, group.key)).toHaveLength(1);
    await endOperation(store.db, 'o', { status: 'Failed', error: { code: 'X', message: 'm' }, at: 6 });
    await endOperation(store.db, 'o', { status: 'Succeeded', at: 7 });
    expect(await findOperation(store.db, 'o')).toMatchObject({ status: 'Failed', error: { code: 'X' }, endedAt: 6 });
    await store.close();
  });
});
