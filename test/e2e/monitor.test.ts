/** Health and metrics of the real processes, on a simulated engine: what an operator and Prometheus see. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StatusDocument } from '../../src/control/status.ts';
import { runtimeFolderOf, homeAt } from '../../src/core/home.ts';
import { readExposition, readMetricTables, sampleOf } from '../check/metric-documents.ts';
import { killHard, must, repository, run, until } from './installation.ts';

const program = join(repository, 'bin', 'poolhouse');
const publicKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ0dqOPMA8xJT4Nr8tqV0Z9EEiOTjFCgZxT1n8PVyLZ alice';
const secrets = ['Correct-Horse-7', 'mallory'];

interface Answer {
  status: number;
  health: { healthy: boolean; reasons: string[]; notes: string[]; control?: { up: boolean } };
}

describe('health and metrics', () => {
  let home: string;
  let status: StatusDocument;
  const env = () => ({ ...process.env, POOLHOUSE_HOME: home });
  const poolhouse = (...argv: string[]) => must(program, argv, { env: env() });
  const look = async () => (status = JSON.parse(await poolhouse('status', '--json')) as StatusDocument);
  const configure = (config: object) =>
    writeFile(join(home, 'config.json'), JSON.stringify({ engine: 'sim', ...config }));

  async function health(of: 'control' | 'gateway'): Promise<Answer> {
    const answer = await fetch(status[of].healthUrl ?? '');
    return { status: answer.status, health: (await answer.json()) as Answer['health'] };
  }
  async function metrics(of: 'control' | 'gateway'): Promise<string> {
    const answer = await fetch(status[of].metricsUrl ?? '');
    expect(answer.status).toBe(200);
    return answer.text();
  }
  const reached = (
    of: 'control' | 'gateway',
    wanted: number,
    isReached: (health: Answer['health']) => boolean = () => true,
  ) =>
    until(`/healthz of ${of} answers ${wanted}`, async () => {
      const answer = await health(of).catch(() => undefined);
      return answer?.status === wanted && isReached(answer.health) ? answer.health : undefined;
    });

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'poolhouse-monitor-'));
    await configure({});
    await poolhouse('up');
    await look();
  });
  afterAll(async () => {
    await run(program, ['down', '--destroy', '--yes'], { env: env() });
    await rm(home, { recursive: true, force: true });
  });

  it('are where the status says', async () => {
    for (const of of ['control', 'gateway'] as const) {
      expect(status[of].healthUrl).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/healthz$/);
      // The gateway may have begun before control: it says so, until its next question is answered.
      const health = await reached(of, 200, ({ notes }) => notes.length === 0);
      expect(health).toMatchObject({ healthy: true, reasons: [] });
      expect(await poolhouse('status')).toContain(status[of].healthUrl);
    }
  });

  it('are what docs/metrics.md describes, no more and no less', async () => {
    const documented = readMetricTables(await readFile(join(repository, 'docs', 'metrics.md'), 'utf8'));
    const served = new Map([...readExposition(await metrics('control')), ...readExposition(await metrics('gateway'))]);
    expect([...served].toSorted()).toEqual(documented.map(({ name, type }) => [name, type]).toSorted());
  });

  it('count what a deployment does, and name nobody', async () => {
    const before = await metrics('control');
    const deployed = { type: 'microsoft.resources/deployments', action: 'put', state: 'Succeeded' };
    expect(sampleOf(before, 'poolhouse_operations_total', deployed)).toBe(0);
    const parameters = {
      adminUsername: secrets[1],
      adminPassword: secrets[0],
      adminPublicKey: publicKey,
      instanceCount: 2,
    };
    const file = join(home, 'parameters.json');
    await writeFile(
      file,
      JSON.stringify({
        parameters: Object.fromEntries(Object.entries(parameters).map(([name, value]) => [name, { value }])),
      }),
    );
    const template = join(repository, 'examples', 'shared-pool', 'template.json');
    await poolhouse('deploy', '-g', 'team', '-f', template, '-p', `@${file}`);
    await look();
    const pool = { resource_group: 'team', pool: 'sharedpool' };
    const control = await until('two instances are counted', async () => {
      const text = await metrics('control');
      return sampleOf(text, 'poolhouse_pool_instances', pool) === 2 ? text : undefined;
    });
    expect(sampleOf(control, 'poolhouse_operations_total', deployed)).toBe(1);
    expect(sampleOf(control, 'poolhouse_pool_capacity', pool)).toBe(2);
    expect(sampleOf(control, 'poolhouse_pool_memory_bytes', pool)).toBeGreaterThan(2 ** 30);
    expect(sampleOf(control, 'poolhouse_steps_total', { step: 'create', result: 'succeeded' })).toBe(2);
    expect(sampleOf(control, 'poolhouse_engine_calls_total', { method: 'create', outcome: 'succeeded' })).toBe(2);
    expect(sampleOf(control, 'poolhouse_arm_requests_total', { method: 'PUT', route: 'resource' })).toBeGreaterThan(0);
    expect(sampleOf(control, 'poolhouse_loop_last_success_timestamp_seconds', { loop: 'deployments' })).toBeGreaterThan(
      0,
    );
    const ends = sampleOf(control, 'poolhouse_certificate_expiry_timestamp_seconds', { certificate: 'server' }) ?? 0;
    expect(ends * 1_000).toBeGreaterThan(Date.now() + 30 * 86_400_000);
    const gateway = await until('the gateway has both front ends', async () => {
      const text = await metrics('gateway');
      return sampleOf(text, 'poolhouse_gateway_front_ends', { state: 'open' }) === 2 ? text : undefined;
    });
    expect(sampleOf(gateway, 'poolhouse_gateway_control_up')).toBe(1);
    for (const secret of secrets) expect(control + gateway).not.toContain(secret);
  });

  it('say that the store cannot be read, and go on being told', async () => {
    const store = new DatabaseSync(join(home, 'store.sqlite'), { timeout: 5_000 });
    try {
      store.exec('ALTER TABLE resources RENAME TO hidden');
      const { reasons } = await reached('control', 503);
      expect(reasons.join()).toContain('The store does not answer: no such table');
      expect(sampleOf(await metrics('control'), 'poolhouse_healthy')).toBe(0);
      expect(sampleOf(await metrics('control'), 'poolhouse_pool_capacity')).toBeUndefined();
    } finally {
      store.exec('ALTER TABLE hidden RENAME TO resources');
      store.close();
    }
    await reached('control', 200);
  });

  it('move, and what is logged changes, while the gateway goes on', async () => {
    const before = await look();
    const wanted = Number(new URL(before.gateway.healthUrl ?? '').port) + 1_000;
    await configure({ logLevel: 'debug', metricsPorts: { gateway: wanted } });
    await poolhouse('up');
    await look();
    expect(status.gateway).toMatchObject({ pid: before.gateway.pid, healthUrl: `http://127.0.0.1:${wanted}/healthz` });
    expect(status.control.metricsUrl).toBe(before.control.metricsUrl);
    await reached('gateway', 200);
    await expect(fetch(before.gateway.healthUrl ?? '')).rejects.toThrow();
    await until('control logs what is asked of it', async () => {
      const lines = JSON.parse(await poolhouse('logs', 'control', '--level', 'debug', '-n', '2000', '--json')) as {
        msg: string;
      }[];
      return lines.some((line) => line.msg === 'call to the engine') ? true : undefined;
    });
    const grave = JSON.parse(await poolhouse('logs', '--level', 'warn', '-n', '2000', '--json')) as { level: number }[];
    expect(grave.every((line) => line.level >= 40)).toBe(true);
    // The store that could not be read above was told as an error.
    expect(grave.length).toBeGreaterThan(0);
    expect(await run(program, ['logs', '--level', 'loud'], { env: env() })).toMatchObject({ exitCode: 2 });
  });

  it('of the gateway stay good while control is away, and say so', async () => {
    const { id } = JSON.parse(await readFile(join(home, 'installation.json'), 'utf8')) as { id: string };
    const files = runtimeFolderOf(homeAt(home), id, process.getuid?.() === 0);
    const supervisor = JSON.parse(await readFile(files.supervisorPid, 'utf8')) as { pid: number };
    killHard(supervisor.pid); // it would start control again
    killHard(status.control.pid);
    const alone = await until('the gateway notices', async () => {
      const answer = await health('gateway');
      return answer.health.control?.up === false ? answer : undefined;
    });
    expect(alone).toMatchObject({ status: 200, health: { healthy: true, reasons: [] } });
    expect(alone.health.notes.join()).toMatch(/^Control has not answered for \d+ s .* Connections go on/);
    expect(sampleOf(await metrics('gateway'), 'poolhouse_gateway_control_up')).toBe(0);
    await expect(health('control')).rejects.toThrow();
    expect((await look()).gateway.healthUrl).toMatch(/\/healthz$/);
  });
});
