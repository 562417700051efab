/** The command as people type it: without an installation, and without root. */
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const main = join(import.meta.dirname, 'main.ts');
const examples = join(import.meta.dirname, '../../examples/autoscale');
const setting = join(examples, 'setting.json');

describe('poolhouse simulate', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-simulate-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const env = () => ({ ...process.env, POOLHOUSE_HOME: join(folder, 'nothing') });
  const simulate = (...argv: string[]) =>
    new Promise<{ exitCode: number; stdout: string; stderr: string }>((resolve) => {
      execFile(
        process.execPath,
        [main, 'simulate', '--setting', setting, ...argv],
        { env: env(), maxBuffer: 2 ** 26 },
        (error, stdout, stderr) => {
          resolve({ exitCode: error === null ? 0 : Number(error.code), stdout, stderr });
        },
      );
    });
  const example = ['--sessions', join(examples, 'day.csv'), '--standby', '2', '--placement', 'most-users'];

  it('shows the example in a table that fits a terminal, and draws it', async () => {
    const svg = join(folder, 'day.svg');
    const { exitCode, stdout, stderr } = await simulate(...example, '--svg', svg);
    expect({ exitCode, stderr: stderr.replace(/^ +[→…✓] Replaying .*\n/gm, '') }).toEqual({ exitCode: 0, stderr: '' });
    for (const text of ['instance-hours', 'hours over hindsight', 'waited less than 5 s', 'Instances over time'])
      expect(stdout).toContain(text);
    for (const line of stdout.split('\n')) expect(line.length, line).toBeLessThanOrEqual(80);
    expect(await readFile(svg, 'utf8')).toContain('<svg ');
  });

  it('prints the same as one JSON document, the same each time', async () => {
    const [one, other] = await Promise.all([simulate(...example, '--json'), simulate(...example, '--json')]);
    expect(one).toMatchObject({ exitCode: 0, stderr: '' });
    expect(other.stdout).toBe(one.stdout);
    expect(JSON.parse(one.stdout)).toMatchObject({
      pool: { placement: { usersPerInstance: 4 }, standby: { count: 2, as: 'stopped' } },
      setting: { waiting: { p50: 0 }, atRisk: [] },
    });
  });

  it.each([
    [['--sessions', 'nothing.csv'], 2, `'nothing.csv' cannot be read: ENOENT`],
    [['--sessions', 'recorded'], 2, '--pool GROUP/NAME'],
    [['--sessions', 'recorded', '--pool', 'team/pool'], 1, 'There is no installation in'],
    [['--sessions', 'generated', '--users-per-instance', '0'], 2, 'from 1 to 1000'],
    [['--sessions', 'generated', '--placement', 'random'], 2, 'fewest-users or most-users'],
    [['--sessions', setting], 1, 'line 1'],
    [['--sessions', 'generated', '--setting', main], 2, 'The setting'],
    [['--sessions', 'generated:people=1', '--svg', '/nothing/here.svg'], 2, 'cannot be written: ENOENT'],
    [[], 2, '--sessions'],
  ] as const)('says what is wrong with %j', async (argv, code, why) => {
    const { exitCode, stdout, stderr } = await simulate(...argv);
    expect({ exitCode, stdout }).toEqual({ exitCode: code, stdout: '' });
    expect(stderr).toContain(why);
  });

  it('tells of its progress, and ends at once with Ctrl-C', async () => {
    const child = spawn(
      process.execPath,
      [main, 'simulate', '--setting', setting, '--sessions', 'generated:people=1000,days=14'],
      { env: env(), stdio: ['ignore', 'ignore', 'pipe'] },
    );
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      if (!stderr.includes('Replaying') && text.includes('Replaying')) child.kill('SIGINT');
      stderr += text;
    });
    const exitCode = await new Promise((resolve) => child.on('close', resolve));
    expect(exitCode).toBe(130);
    expect(stderr).toContain('Replaying');
  });

  it('takes a trace from JSON lines', async () => {
    const trace = join(folder, 'trace.jsonl');
    await writeFile(trace, '{"user":"alice","start":1767603600,"end":1767607200}\n');
    const { exitCode, stdout } = await simulate('--sessions', trace, '--json', '--users-per-instance', '1');
    expect(exitCode).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ people: 1, sessions: 1, hindsight: { boundHours: 1, packedHours: 1 } });
  });
});
