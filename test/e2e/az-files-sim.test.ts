/** The way to files as an operator finds it, on simulated instances: the account, its connection string, its shares; by the real az. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { must, repository, run } from './installation.ts';

const hasAz = (await run('sh', ['-c', 'command -v az'])).exitCode === 0;

describe.skipIf(!hasAz)(`the way to files${hasAz ? '' : ` (left out: 'az' is not installed)`}`, () => {
  let home: string;
  let environment: NodeJS.ProcessEnv;
  const poolhouse = (...argv: string[]) =>
    must(join(repository, 'bin', 'poolhouse'), argv, { env: { ...process.env, POOLHOUSE_HOME: home } });
  const az = async (...argv: string[]): Promise<unknown> => {
    const text = await must('az', [...argv, '-o', 'json'], { env: environment, timeoutMs: 120_000 });
    return text.trim() === '' ? null : (JSON.parse(text) as unknown);
  };

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'poolhouse-way-'));
    await poolhouse('up', '--engine', 'sim');
    environment = {
      ...process.env,
      ...(JSON.parse(await poolhouse('az-env', '--profile', 'latest', '--json')) as Record<string, string>),
    };
  });
  afterAll(async () => {
    await poolhouse('down', '--destroy', '--yes');
    await rm(home, { recursive: true, force: true });
  });

  it('is the connection string that az shows', async () => {
    await az('group', 'create', '-n', 'team', '-l', 'local');
    const made = await az('storage', 'account', 'create', '-g', 'team', '-n', 'teamfiles', '--sku', 'Standard_LRS');
    expect(made).toMatchObject({ primaryEndpoints: { file: expect.stringMatching(/^https:\/\/127\.0\.0\.1:\d+\/teamfiles\/$/) as string } }); // prettier-ignore
    const shown = await az('storage', 'account', 'show-connection-string', '-g', 'team', '-n', 'teamfiles');
    environment['AZURE_STORAGE_CONNECTION_STRING'] = (shown as { connectionString: string }).connectionString;
    expect(await az('storage', 'share', 'create', '-n', 'files', '--quota', '3')).toEqual({ created: true });
    expect(await az('storage', 'share-rm', 'list', '-g', 'team', '--storage-account', 'teamfiles')).toMatchObject([{ name: 'files', shareQuota: 3 }]); // prettier-ignore
    const upload = await run('az', ['storage', 'file', 'list', '-s', 'files'], { env: environment, timeoutMs: 60_000 });
    expect(upload.stderr).toContain('Simulated shares hold no files');
    // A key that was made anew counts at once, and so does that the old one is none any more.
    await az('storage', 'account', 'keys', 'renew', '-g', 'team', '-n', 'teamfiles', '--key', 'primary');
    const old = await run('az', ['storage', 'share', 'list'], { env: environment, timeoutMs: 60_000 });
    expect([old.exitCode === 0, old.stderr]).toEqual([false, expect.stringContaining('authenticat') as string]);
  });
});
