/** Capacity by the real az, on simulated instances: autoscale settings as az writes them, metrics, the activity log, costs. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dig, isObject, type Json } from '../../src/core/json.ts';
import { must, repository, run, until } from './installation.ts';

const template = join(repository, 'examples', 'shared-pool', 'template.json');
const publicKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ0dqOPMA8xJT4Nr8tqV0Z9EEiOTjFCgZxT1n8PVyLZ alice';
const hasAz = (await run('sh', ['-c', 'command -v az'])).exitCode === 0;

describe.skipIf(!hasAz)(`capacity by az${hasAz ? '' : ` (left out: 'az' is not installed)`}`, () => {
  let home: string;
  let set: string;
  const poolhouse = (...argv: string[]) =>
    must(join(repository, 'bin', 'poolhouse'), argv, { env: { ...process.env, POOLHOUSE_HOME: home } });
  let environment: NodeJS.ProcessEnv;
  const az = async (...argv: string[]): Promise<Json> => {
    const text = await must('az', [...argv, '-o', 'json'], { env: environment, timeoutMs: 120_000 });
    return text.trim() === '' ? null : (JSON.parse(text) as Json);
  };
  const refused = async (...argv: string[]) => {
    const result = await run('az', argv, { env: environment, timeoutMs: 120_000 });
    expect(result.exitCode).not.toBe(0);
    return result.stderr;
  };
  const capacity = async () => {
    const status = JSON.parse(await poolhouse('status', '--json')) as { pools: { capacity: number; id: string }[] };
    return status.pools[0]?.capacity;
  };

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'poolhouse-monitor-'));
    await poolhouse('up', '--engine', 'sim');
    await poolhouse(
      ...['deploy', '-g', 'team', '-f', template, '-p', 'adminUsername=azure', '-p', 'adminPassword=Correct-Horse-7'],
      ...['-p', `adminPublicKey=${publicKey}`, '-p', 'instanceCount=1', '--json'],
    );
    const variables = JSON.parse(await poolhouse('az-env', '--profile', 'latest', '--json')) as Record<string, string>;
    environment = { ...process.env, ...variables };
    const status = JSON.parse(await poolhouse('status', '--json')) as { pools: { id: string }[] };
    set = status.pools[0]?.id ?? '';
  });
  afterAll(async () => {
    await poolhouse('down', '--destroy', '--yes');
    await rm(home, { recursive: true, force: true });
  });

  it('keeps an autoscale setting, and brings the capacity into its bounds', async () => {
    const about = ['-g', 'team', '--autoscale-name', 'people'];
    await az(
      ...['monitor', 'autoscale', 'create', '-g', 'team', '--resource', set, '-n', 'people'],
      ...['--min-count', '2', '--max-count', '4', '--count', '2'],
    );
    await until('it is brought inside', async () => ((await capacity()) === 2 ? true : undefined));
    const condition = ['--condition', 'Users Per Instance > 4 avg 5m'];
    await az('monitor', 'autoscale', 'rule', 'create', ...about, '--scale', 'out', '1', ...condition);
    await az(
      ...['monitor', 'autoscale', 'profile', 'create', ...about, '-n', 'Thursdays', '--count', '3'],
      ...['--min-count', '3', '--max-count', '3', '--recurrence', 'week', 'thu', '--start', '06:00', '--end', '22:50'],
      ...['--timezone', 'Pacific Standard Time', '--copy-rules', 'default'],
    );
    const shown = await az('monitor', 'autoscale', 'show', '-g', 'team', '-n', 'people');
    const profiles = dig(shown, 'profiles');
    expect(Array.isArray(profiles) ? profiles.length : 0).toBeGreaterThan(1);
    expect(await refused('monitor', 'autoscale', 'rule', 'create', ...about, '--scale', 'out', '1', '--condition', 'Moon Phase > 4 avg 5m')).toContain('Active Sessions'); // prettier-ignore
    expect(
      await refused('monitor', 'autoscale', 'create', '-g', 'team', '--resource', set, '-n', 'another', '--count', '2'),
    ).toContain('Conflict');
    await az('monitor', 'autoscale', 'update', '-g', 'team', '-n', 'people', '--enabled', 'false');
    await az('monitor', 'autoscale', 'delete', '-g', 'team', '-n', 'people');
    expect(await az('monitor', 'autoscale', 'list', '-g', 'team')).toEqual([]);
  });

  it('tells what was measured, and what was done', async () => {
    const metrics = await until('something was measured', async () => {
      const found = await az('monitor', 'metrics', 'list', '--resource', set, '--metric', 'Waiting Users', '--interval', 'PT1M'); // prettier-ignore
      const data = dig(found, 'value', 0, 'timeseries', 0, 'data');
      const hasOne = Array.isArray(data) && data.some((one) => isObject(one) && typeof one['maximum'] === 'number');
      return hasOne ? found : undefined;
    });
    expect(dig(metrics, 'value', 0, 'name', 'value')).toBe('Waiting Users');
    const log = await az('monitor', 'activity-log', 'list', '-g', 'team');
    const operations = (Array.isArray(log) ? log : [])
      .filter(isObject)
      .map((one) => dig(one, 'operationName', 'value'));
    expect(operations).toContain('Microsoft.Insights/AutoscaleSettings/Scaleup/Action');
    await until(
      'a minute is in the ledger',
      async () => ((await poolhouse('costs')).includes('sharedpool') ? true : undefined),
      150_000,
    );
    expect(await poolhouse('why', 'sharedpool000000')).toContain('asked for');
  });
});
