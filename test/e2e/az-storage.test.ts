/** Shares by the real az, on simulated instances: what `az storage account` and `az storage share-rm` send, and what `poolhouse shares` says. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ShareDetails } from '../../src/control/share-desk.ts';
import { dig, isObject, textOf, type Json } from '../../src/core/json.ts';
import { must, repository, run, until } from './installation.ts';

const hasAz = (await run('sh', ['-c', 'command -v az'])).exitCode === 0;

describe.skipIf(!hasAz)(`shares by az${hasAz ? '' : ` (left out: 'az' is not installed)`}`, () => {
  let home: string;
  let environment: NodeJS.ProcessEnv;
  const poolhouse = (...argv: string[]) =>
    must(join(repository, 'bin', 'poolhouse'), argv, { env: { ...process.env, POOLHOUSE_HOME: home } });
  const az = async (...argv: string[]): Promise<Json> => {
    const text = await must('az', [...argv, '-o', 'json'], { env: environment, timeoutMs: 120_000 });
    return text.trim() === '' ? null : (JSON.parse(text) as Json);
  };
  const refused = async (...argv: string[]) => {
    const result = await run('az', argv, { env: environment, timeoutMs: 120_000 });
    expect(result.exitCode).not.toBe(0);
    return result.stderr;
  };
  const where = ['-g', 'team', '--storage-account', 'teamstore'];
  const named = [...where, '--name', 'shared'];
  const list = (value: Json | undefined) => (Array.isArray(value) ? value.filter(isObject) : []);

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'poolhouse-storage-'));
    await poolhouse('up', '--engine', 'sim');
    const variables = JSON.parse(await poolhouse('az-env', '--profile', 'latest', '--json')) as Record<string, string>;
    environment = { ...process.env, ...variables };
    await az('group', 'create', '-n', 'team', '-l', 'westeurope');
  });
  afterAll(async () => {
    await poolhouse('down', '--destroy', '--yes');
    await rm(home, { recursive: true, force: true });
  });

  it('makes an account, looks whether its name is free, changes it, and makes its keys anew', async () => {
    const account = ['-g', 'team', '-n', 'teamstore'];
    expect(await az('storage', 'account', 'check-name', '-n', 'teamstore')).toMatchObject({ nameAvailable: true });
    await az('storage', 'account', 'create', ...account, '-l', 'westeurope', '--sku', 'Standard_LRS');
    expect(await az('storage', 'account', 'check-name', '-n', 'teamstore')).toMatchObject({
      ...{ nameAvailable: false, reason: 'AlreadyExists' },
    });
    expect(await az('storage', 'account', 'update', ...account, '--tags', 'poolhouse-snapshots=off', 'team=x')).toMatchObject({ tags: { team: 'x' } }); // prettier-ignore
    expect(await refused('storage', 'account', 'update', ...account, '--tags', 'poolhouse-snapshots=often')).toContain('hourly=24,daily=7'); // prettier-ignore
    const keys = async () =>
      list(await az('storage', 'account', 'keys', 'list', ...account)).map((one) => one['value']);
    const before = await keys();
    await az('storage', 'account', 'keys', 'renew', ...account, '--key', 'primary');
    const after = await keys();
    expect([after[0] === before[0], after[1] === before[1]]).toEqual([false, true]);
    const { connectionString } = (await az('storage', 'account', 'show-connection-string', ...account)) as Record<string, Json>; // prettier-ignore
    expect(textOf(connectionString)).toMatch(/AccountName=teamstore;AccountKey=\S+==;FileEndpoint=https:\/\//);
    expect(textOf(connectionString)).toContain(textOf(after[0]));
  });

  it('makes a share, tells what it uses, and gives it another quota', async () => {
    expect(await az('storage', 'share-rm', 'exists', ...named)).toEqual({ exists: false });
    await az('storage', 'share-rm', 'create', ...named, '--quota', '5', '--metadata', 'for=team');
    expect(await az('storage', 'share-rm', 'exists', ...named)).toEqual({ exists: true });
    expect(await az('storage', 'share-rm', 'stats', ...named)).toBe(0);
    await az('storage', 'share-rm', 'update', ...named, '--quota', '9');
    expect(await az('storage', 'share-rm', 'show', ...named)).toMatchObject({
      ...{ name: 'shared', shareQuota: 9, metadata: { for: 'team' }, accessTier: 'TransactionOptimized' },
    });
    const shown = JSON.parse(await poolhouse('shares', 'show', 'teamstore/shared', '--json')) as ShareDetails;
    expect(shown).toMatchObject({ name: 'teamstore/shared', quotaBytes: 9 * 2 ** 30, schedule: 'off' });
    expect(await refused('storage', 'share-rm', 'update', ...named, '--quota', '0')).toContain('shareQuota');
  });

  it('takes snapshots, lists them, and deletes one', async () => {
    const first = textOf(dig(await az('storage', 'share-rm', 'snapshot', ...named), 'snapshotTime'));
    expect(first).toMatch(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{7}Z$/);
    await poolhouse('shares', 'snapshot', 'teamstore/shared');
    const all = list(await az('storage', 'share-rm', 'list', ...where, '--include-snapshot'));
    expect(all.map((one) => typeof one['snapshotTime'])).toEqual(['string', 'string', 'object']);
    const pages = list(dig(await az('rest', '-u', await urlOf('fileServices/default/shares?api-version=2022-09-01&$expand=snapshots&$maxpagesize=2')), 'value')); // prettier-ignore
    expect(pages).toHaveLength(2);
    expect(await az('storage', 'share-rm', 'show', ...named, '--snapshot', first)).toMatchObject({ name: 'shared' });
    await az('storage', 'share-rm', 'delete', ...named, '--snapshot', first, '--yes');
    expect(await refused('storage', 'share-rm', 'show', ...named, '--snapshot', first)).toContain('has no snapshot of the time'); // prettier-ignore
    expect(await poolhouse('shares', 'snapshots', 'teamstore/shared')).toMatch(/^ {2}\d{4}-\S+Z +somebody$/m);
    expect(await refused('storage', 'share-rm', 'delete', ...named, '--include', 'none', '--yes')).toContain('ShareHasSnapshots'); // prettier-ignore
  });
  const urlOf = async (rest: string) => {
    const id = textOf(dig(await az('storage', 'account', 'show', '-g', 'team', '-n', 'teamstore'), 'id'));
    return `${id}/${rest}`;
  };

  it('keeps a share that is deleted for as many days as the file service says, and restores it', async () => {
    const service = ['storage', 'account', 'file-service-properties'];
    const account = ['-g', 'team', '--account-name', 'teamstore'];
    expect(await az(...service, 'show', ...account)).toMatchObject({ shareDeleteRetentionPolicy: { enabled: true, days: 7 } }); // prettier-ignore
    await az(...service, 'update', ...account, '--enable-delete-retention', 'true', '--delete-retention-days', '3');
    await az('storage', 'share-rm', 'delete', ...named, '--include', 'snapshots', '--yes');
    expect(await az('storage', 'share-rm', 'list', ...where)).toEqual([]);
    const [deleted] = list(await az('storage', 'share-rm', 'list', ...where, '--include-deleted'));
    expect(deleted).toMatchObject({ name: 'shared', deleted: true, remainingRetentionDays: 3 });
    expect(await refused('storage', 'share-rm', 'create', ...named)).toContain(
      'poolhouse shares purge teamstore/shared',
    );
    await az('storage', 'share-rm', 'restore', ...named, '--deleted-version', textOf(deleted?.['version']));
    expect(await az('storage', 'share-rm', 'show', ...named)).toMatchObject({ shareQuota: 9 });
    expect(list(await az('storage', 'share-rm', 'list', ...where, '--include-snapshot'))).toHaveLength(2);
    await az(...service, 'update', ...account, '--enable-delete-retention', 'false');
    await az('storage', 'share-rm', 'delete', ...named, '--include', 'snapshots', '--yes');
    expect(await az('storage', 'share-rm', 'list', ...where, '--include-deleted')).toEqual([]);
    await az('storage', 'share-rm', 'create', ...named);
    await az('storage', 'account', 'delete', '-g', 'team', '-n', 'teamstore', '--yes');
    expect(await az('storage', 'account', 'list', '-g', 'team')).toEqual([]);
    await until('nothing is left', async () =>
      (await poolhouse('shares', 'list')) === 'There are no shares.\n' ? true : undefined,
    );
  });
});
