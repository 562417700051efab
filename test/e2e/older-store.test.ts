/**
 * Upgrades, with a home that the first release's store version left behind (`older-home/`: two pools, their secrets and
 * certificates, as that program wrote them), brought to each version that was released since.
 */
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { dig, textOf, type Json } from '../../src/core/json.ts';
import { homeAt } from '../../src/core/home.ts';
import { createArmClient } from '../../src/host/arm-client.ts';
import { readInstallation } from '../../src/host/installations.ts';
import { migrations } from '../../src/store/migrations.ts';
import { openStore } from '../../src/store/store.ts';
import { repository, run, type Result } from './installation.ts';
import type { StatusDocument } from '../../src/control/status.ts';

const fixture = join(repository, 'test/e2e/older-home');
const older = migrations.map((_, index) => index).filter((version) => version > 0);
const account = '/providers/Microsoft.Storage/storageAccounts';

describe('a store of an older program', { timeout: 120_000 }, () => {
  let folder: string | undefined;

  afterEach(async () => {
    if (folder === undefined) return;
    await poolhouse('down', '--destroy', '--yes');
    await rm(folder, { recursive: true, force: true });
  });

  const poolhouse = (...argv: string[]): Promise<Result> =>
    run(join(repository, 'bin', 'poolhouse'), argv, { env: { ...process.env, POOLHOUSE_HOME: folder } });
  const status = async () => JSON.parse((await poolhouse('status', '--json')).stdout) as StatusDocument;

  async function makeHome(version: number): Promise<ReturnType<typeof homeAt>> {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-older-'));
    const files = JSON.parse(await readFile(join(fixture, 'files.json'), 'utf8')) as Record<string, string>;
    for (const [name, content] of Object.entries(files)) {
      await mkdir(dirname(join(folder, name)), { recursive: true, mode: 0o700 });
      await writeFile(join(folder, name), Buffer.from(content, 'base64'), { mode: 0o600 });
    }
    const home = homeAt(folder);
    const database = new DatabaseSync(home.store);
    database.exec(await readFile(join(fixture, 'store.sql'), 'utf8'));
    database.close();
    await (await openStore(home.store, { migrations: migrations.slice(0, version) })).close();
    return home;
  }

  async function versionOf(file: string): Promise<number> {
    const database = new DatabaseSync(file, { readOnly: true });
    try {
      return Number(database.prepare('PRAGMA user_version').get()?.['user_version']);
    } finally {
      database.close();
    }
  }

  it.each(older)('of version %i is copied first, and then serves with all that was in it', async (version) => {
    const home = await makeHome(version);
    const authority = await readFile(join(home.certificates, 'ca.pem'), 'utf8');
    expect(await poolhouse('up')).toMatchObject({ exitCode: 0 });

    const copies = await readdir(home.backups);
    expect(copies).toEqual([expect.stringMatching(new RegExp(`^store-v${version}-.*\\.sqlite$`))]);
    const copy = join(home.backups, copies[0] ?? '');
    expect((await stat(copy)).mode & 0o777).toBe(0o600);
    expect(await versionOf(copy)).toBe(version);
    expect(await versionOf(home.store)).toBe(migrations.length);

    const { pools } = await status();
    expect(pools.map(({ name, instances }) => [name, instances.map(({ name: host }) => host)])).toEqual([
      ['nat', ['nat000000', 'nat000001']],
      ['sharedpool', ['sharedpool000000', 'sharedpool000001']],
    ]);
    // Its secrets open: the sign-in, the authority's key, the key of the storage account.
    expect(await readFile(join(home.certificates, 'ca.pem'), 'utf8')).toBe(authority);
    const installation = await readInstallation(home);
    if (installation === undefined) throw new Error('there is no installation');
    const arm = await createArmClient(home, installation, AbortSignal.timeout(60_000));
    const group = `/subscriptions/${installation.subscriptionId}/resourceGroups/files`;
    const accounts = (await arm.send('GET', `${group}${account}`)).body['value'] as Json[];
    const keys = (await arm.send('POST', `${group}${account}/${textOf(dig(accounts[0], 'name'))}/listKeys`)).body;
    const key = textOf(dig(keys, 'keys', 0, 'value'));
    expect(Buffer.from(key, 'base64')).toHaveLength(64);
    for (const file of [home.store, copy]) expect((await readFile(file)).includes(key)).toBe(false);

    const scaled = await poolhouse(
      ...['deploy', '-g', 'team', '-f', join(repository, 'test/e2e/nat-pool.json'), '-p', 'adminUsername=bob'],
      ...['-p', 'adminPassword=Base-Image-Pass-1', '-p', 'instanceCount=3'],
    );
    expect(scaled).toMatchObject({ exitCode: 0 });
    expect((await status()).pools[0]?.instances.map(({ instanceId }) => instanceId)).toEqual(['0', '1', '2']);
  });

  it('that a newer one has changed is refused, and what the newer one runs goes on', async () => {
    const home = await makeHome(migrations.length);
    expect(await poolhouse('up')).toMatchObject({ exitCode: 0 });
    const { control, gateway } = await status();
    const database = new DatabaseSync(home.store, { timeout: 5_000 });
    database.exec('PRAGMA user_version = 999');
    database.close();
    const refused = {
      exitCode: 1,
      stderr: expect.stringMatching(
        /^InvalidConfiguration: The store .* was written by a newer Poolhouse .* Install that version again, or restore a copy/m,
      ) as string,
    };
    // Another build than the one that runs: without the store's word its processes would be ended and begun anew.
    await writeFile(join(await runFolder(home), 'build'), 'another');
    expect(await poolhouse('up')).toMatchObject(refused);
    expect(await status()).toMatchObject({ control: { pid: control.pid }, gateway: { pid: gateway.pid } });

    await poolhouse('down');
    expect(await poolhouse('up')).toMatchObject(refused);
    expect((await status()).control.healthy).toBe(false);
    expect(await versionOf(home.store)).toBe(999);
  });

  async function runFolder(home: ReturnType<typeof homeAt>): Promise<string> {
    const { id } = (await readInstallation(home)) ?? { id: '' };
    return process.getuid?.() === 0 ? `/run/poolhouse-${id}` : join(home.folder, 'run');
  }
});
