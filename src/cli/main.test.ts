/** The command line as a person meets it: help, wrong usage, and errors. Nothing here starts anything. */
import { execFile, spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const main = fileURLToPath(new URL('main.ts', import.meta.url));
const commands = [
  'up',
  'down',
  'status',
  'logs',
  'az-env',
  'deploy',
  'users',
  'groups',
  'sessions',
  'costs',
  'simulate',
];
const installation = {
  id: '0123abcd',
  engine: 'sim',
  apiPort: 1,
  addressBlock: '127.77.7.0/24',
  subscriptionId: 'a3b5d0f0-0000-4000-8000-000000000001',
  tenantId: 'a3b5d0f0-0000-4000-8000-000000000002',
  clientId: 'a3b5d0f0-0000-4000-8000-000000000003',
  createdAt: '2026-01-01T00:00:00Z',
};

describe('the command line', () => {
  let folder: string;
  let home: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-cli-'));
    home = join(folder, 'home');
  });
  afterEach(() => rm(folder, { recursive: true }));

  const env = () => ({ ...process.env, POOLHOUSE_HOME: home, POOLHOUSE_DEBUG: '' });
  function poolhouse(...argv: string[]): Promise<{ exitCode: number; stdout: string; stderr: string }> {
    return new Promise((resolve) => {
      const child = execFile(
        process.execPath,
        [main, ...argv],
        { env: env(), cwd: folder },
        (error, stdout, stderr) => {
          resolve({ exitCode: error === null ? 0 : Number(error.code), stdout, stderr });
        },
      );
      child.stdin?.end();
    });
  }

  /** A home with an installation that does not run. */
  async function installed(files: Record<string, string> = {}): Promise<void> {
    await mkdir(join(home, 'logs'), { recursive: true });
    for (const [name, text] of Object.entries({ 'installation.json': JSON.stringify(installation), ...files }))
      await writeFile(join(home, name), text);
  }

  it.each(commands)('explains %s, with examples', async (command) => {
    const { exitCode, stdout, stderr } = await poolhouse(command, '--help');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toContain(`Usage: poolhouse ${command}`);
    expect(stdout).toContain('--json');
    expect(stdout).toMatch(new RegExp(`Examples:\\n.*poolhouse ${command}`, 's'));
  });

  const inner = ['users', 'groups'].flatMap((family) =>
    ['add', 'list', 'show', 'set', 'remove'].map((command) => [family, command] as const),
  );
  it.each(inner)('explains %s %s, with examples', async (family, command) => {
    const { exitCode, stdout, stderr } = await poolhouse(family, command, '--help');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toContain(`Usage: poolhouse ${family} ${command}`);
    expect(stdout).toContain('--json');
    expect(stdout).toMatch(new RegExp(`Examples:\\n.*poolhouse ${family} ${command}`, 's'));
  });

  it('explains itself, with all commands', async () => {
    const { exitCode, stdout } = await poolhouse('--help');
    expect(exitCode).toBe(0);
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
    expect(stdout).toContain('Examples:');
  });

  it('tells its version and build', async () => {
    const { version, build, date, node } = JSON.parse((await poolhouse('--version', '--json')).stdout) as Record<
      'version' | 'build' | 'date' | 'node',
      string | null
    >;
    expect(version).toMatch(/^\d+\.\d+\.\d+$/);
    expect(node).toBe(process.versions.node);
    const commit = build === null ? 'unknown' : `${build}, ${String(date)}`;
    expect(await poolhouse('--version')).toEqual({
      exitCode: 0,
      stdout: `poolhouse ${String(version)} (build ${commit})\n`,
      stderr: '',
    });
  });

  const wrongUsage: [argv: string[], message: RegExp][] = [
    [[], /Usage: poolhouse/],
    [['sing'], /unknown command 'sing'/],
    [['statsu'], /Did you mean status\?/],
    [['status', '--jsn'], /unknown option '--jsn'.*Did you mean --json\?.*poolhouse --help/s],
    [['status', 'more'], /too many arguments/],
    [['up', '--engine', 'kvm'], /Allowed choices are incus, sim/],
    [['up', '--address', 'pool.example'], /'pool\.example' is not an IPv4 address/],
    [['up', '--address'], /argument missing/],
    [['logs', '-n', 'many'], /'many' is not a number of lines/],
    [['logs', '-n', '0'], /'0' is not a number of lines/],
    [['az-env', '--profile', 'newest'], /Allowed choices are latest, hybrid/],
    [['deploy', '-g', 'team'], /required option '-f, --template/],
    [['deploy', '-f', 'template.json'], /required option '-g, --group/],
    [['down', '--destroy'], /Say --yes to do it/],
    [['users'], /Usage: poolhouse users/],
    [['users', 'ad'], /unknown command 'ad'.*Did you mean add\?/s],
    [['users', 'add'], /missing required argument 'name'/],
    [['users', 'add', 'alice', '--password', 'secret'], /unknown option '--password'/],
    [['users', 'add', 'alice', '--ssh-key', 'gone.pub'], /public key 'gone\.pub' cannot be read: ENOENT/],
    [['users', 'add', 'alice', '--ssh-key', 'http://['], /'http:\/\/\[' is not a URL/],
    [['users', 'add', 'alice', '--every-pool', '--pool', 'a'], /--every-pool leaves nothing to name/],
    [['users', 'set', 'alice', '--enable', '--disable'], /exclude each other/],
    [['users', 'set', 'alice', '--password-stdin', '--no-password'], /exclude each other/],
    [['groups'], /Usage: poolhouse groups/],
    [['groups', 'remove'], /missing required argument 'name'/],
  ];
  it.each(wrongUsage)('ends with 2 for %j', async (argv, message) => {
    const { exitCode, stdout, stderr } = await poolhouse(...argv);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at /m);
    expect(await readdir(folder)).toEqual([]);
  });

  const template = '{"parameters": {"one": {"type": "int"}, "two": {"type": "securestring"}}, "resources": []}';
  const wrongDeployments: [argv: string[], message: RegExp][] = [
    [['-f', 'gone.json'], /The file 'gone\.json' cannot be read: ENOENT/],
    [['-f', 'http://['], /'http:\/\/\[' is not a URL/],
    [['-f', 'broken.json'], /The template 'broken\.json': The content is not valid JSON at line '1'/],
    [['-f', 'template.json'], /These parameters have no value: one, two\. Give them with -p/],
    [['-f', 'template.json', '-p', 'two=Secret'], /have no value: one\./],
    [['-f', 'template.json', '-p', 'three=Secret'], /The template has no parameter 'three'\. It has: one, two\./],
    [['-f', 'template.json', '-p', 'one=x'], /'one' is a whole number/],
    [['-f', 'template.json', '-p', '@gone.json'], /'gone\.json' cannot be read/],
  ];
  it.each(wrongDeployments)('ends with 2 for deploy -g team %j', async (argv, message) => {
    await installed();
    await writeFile(join(folder, 'template.json'), template);
    await writeFile(join(folder, 'broken.json'), '{"parameters": ');
    const { exitCode, stdout, stderr } = await poolhouse('deploy', '-g', 'team', ...argv);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at |Secret/m);
  });

  const failures: [what: string, files: Record<string, string> | undefined, argv: string[], message: RegExp][] = [
    [
      'nothing is installed',
      undefined,
      ['logs'],
      /^HostNotReady: There is no installation in .*'poolhouse up' makes one/,
    ],
    ['nothing is installed', undefined, ['az-env'], /There is no installation/],
    ['nothing is installed', undefined, ['users', 'list'], /There is no installation/],
    ['nothing is installed', undefined, ['groups', 'add', 'team'], /There is no installation/],
    ['nothing is installed', undefined, ['deploy', '-g', 'a', '-f', 'a.json'], /There is no installation/],
    ['control does not run', {}, ['logs', 'team000000'], /Control does not answer\. 'poolhouse up' starts it/],
    ['the installation is damaged', { 'installation.json': '{"id": ' }, ['status'], /installation\.json is damaged/],
    ['the installation lacks something', { 'installation.json': '{}' }, ['down'], /installation\.json is damaged/],
    [
      'the configuration is broken',
      { 'config.json': '{"engine": ' },
      ['up'],
      /config\.json cannot be read: .*line '1'/,
    ],
    ['the configuration has an unknown key', { 'config.json': '{"engin": 1}' }, ['up'], /did you mean 'engine'/],
    [
      'the engine would change',
      { 'config.json': '{"engine": "sim"}' },
      ['up', '--engine', 'incus'],
      /engine cannot be changed to 'incus'/,
    ],
    [
      'a download is not allowed',
      {},
      ['deploy', '-g', 'a', '-f', 'http://127.0.0.1/a'],
      /FetchNotAllowed: .*inner address/,
    ],
  ];
  it.each(failures)('ends with 1 when %s', async (_what, files, argv, message) => {
    if (files !== undefined) await installed(files);
    const plain = await poolhouse(...argv);
    expect({ exitCode: plain.exitCode, stdout: plain.stdout }).toEqual({ exitCode: 1, stdout: '' });
    expect(plain.stderr).toMatch(message);
    expect(plain.stderr).not.toMatch(/^\s+at /m);
    const json = await poolhouse(...argv, '--json');
    expect({ exitCode: json.exitCode, stdout: json.stdout }).toEqual({ exitCode: 1, stdout: '' });
    const { error } = JSON.parse(json.stderr.trim().split('\n').at(-1) ?? '') as {
      error: { code: string; message: string };
    };
    expect(`${error.code}: ${error.message}`).toMatch(message);
  });

  it('writes down nothing of what it refuses', async () => {
    await installed({ 'config.json': '{"engine": "sim"}' });
    await poolhouse('up', '--engine', 'incus');
    expect((await readdir(home)).filter((name) => !name.startsWith('.'))).toEqual([
      'config.json',
      'installation.json',
      'logs',
    ]);
    expect((await poolhouse('status', '--json')).exitCode).toBe(0);
  });

  it('makes no home by looking for one', async () => {
    expect(await poolhouse('down')).toMatchObject({ exitCode: 0, stdout: 'Nothing was running.\n' });
    expect(await poolhouse('down', '--destroy', '--yes', '--json')).toMatchObject({
      exitCode: 0,
      stdout: '{"removed":[]}\n',
    });
    const status = await poolhouse('status', '--json');
    expect(JSON.parse(status.stdout)).toEqual({
      control: { url: '', healthy: false, pid: 0 },
      gateway: { healthy: false, pid: null },
      gateways: [],
      pools: [],
    });
    expect((await poolhouse('status')).stdout).toContain('Start it with: poolhouse up');
    expect(await readdir(folder)).toEqual([]);
  });

  it('shows logs in the order of time, as words and as one document', async () => {
    const line = (time: number, msg: string) => JSON.stringify({ level: 30, time, msg });
    await installed();
    await writeFile(join(home, 'logs', 'control.log'), `${line(1, 'first')}\nError: crash\n${line(3, 'third')}\n`);
    await writeFile(join(home, 'logs', 'gateway.log'), `${line(2, 'second')}\n${line(4, 'half')}`);
    const { stdout } = await poolhouse('logs');
    expect(stdout.match(/first|crash|second|third|half/g)).toEqual(['first', 'crash', 'second', 'third']);
    const json = JSON.parse((await poolhouse('logs', '--json', '-n', '2')).stdout) as { msg: string }[];
    expect(json.map((entry) => entry.msg)).toEqual(['second', 'third']);
    expect(JSON.parse((await poolhouse('logs', 'gateway', '--json')).stdout)).toHaveLength(1);
  });

  it.each(['SIGINT', 'SIGTERM'] as const)('goes on showing what comes, until it is stopped by %s', async (signal) => {
    const file = join(home, 'logs', 'control.log');
    await installed();
    await writeFile(file, '{"msg":"before"}\n');
    const child = spawn(process.execPath, [main, 'logs', 'control', '-f', '--json'], { env: env() });
    let seen = '';
    const shows = (text: string) =>
      new Promise<void>((resolve) => {
        const look = () => {
          if (seen.includes(text)) resolve();
        };
        child.stdout.on('data', look);
        look();
      });
    child.stdout.setEncoding('utf8').on('data', (text: string) => (seen += text));
    await shows('before');
    await writeFile(file, '{"msg":"after"}\n{"msg":"ha', { flag: 'a' });
    await shows('after');
    await writeFile(file, 'lf"}\n', { flag: 'a' });
    await shows('half');
    await writeFile(file, '{"msg":"anew"}\n');
    await shows('anew');
    child.kill(signal);
    expect(await new Promise((resolve) => child.on('exit', resolve))).toBe(0);
    expect(
      seen
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { msg: string }).msg),
    ).toEqual(['before', 'after', 'half', 'anew']);
  });

  it('is silent when nobody reads on', async () => {
    await installed();
    await writeFile(join(home, 'logs', 'control.log'), `{"msg":"${'x'.repeat(1_000)}"}\n`.repeat(5_000));
    const child = spawn('sh', ['-c', '"$@" | head -n 1', 'sh', process.execPath, main, 'logs', '-n', '5000'], {
      env: env(),
    });
    let stderr = '';
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
    child.stdout.resume();
    await new Promise((resolve) => child.on('close', resolve));
    expect(stderr).toBe('');
  });
});
