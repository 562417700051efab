/** People by the command line and the API, on a simulated engine: needs no root, no az and no network. */
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { spawn } from 'node:child_process';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { homeAt } from '../../src/core/home.ts';
import { textOf, type JsonObject } from '../../src/core/json.ts';
import { createArmClient, type ArmClient } from '../../src/host/arm-client.ts';
import { readInstallation } from '../../src/host/installations.ts';
import type { GroupDocument, UserDocument } from '../../src/providers/identity/documents.ts';
import { must, repository, run, until, type Result } from './installation.ts';

const program = join(repository, 'bin', 'poolhouse');
const template = join(repository, 'examples', 'shared-pool', 'template.json');
const aliceKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHf31+vO4thUwzEuIVzHcght++OvQqMvFDKtZlWXIZbv alice@laptop';
const aliceFingerprint = 'SHA256:UT4eDNWy1ZnoKVpY1m6pv6pOakxT6fJDdxtiJ9lEgWA';
const bobKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ0dqOPMA8xJT4Nr8tqV0Z9EEiOTjFCgZxT1n8PVyLZ bob';
const password = 'Horse-battery-"7"-ä';
const users = '/providers/Poolhouse.Identity/users';

describe('people', { timeout: 120_000 }, () => {
  let folder: string;
  let home: string;
  let keys: Server;
  let keyPort: number;
  let arm: ArmClient;
  /** Everything that a command printed. */
  const printed: string[] = [];

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-people-'));
    home = join(folder, 'home');
    keys = createServer((request, response) => {
      if (request.url === '/bob.keys') response.end(`${bobKey}\n`);
      else response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => keys.listen(0, '127.0.0.1', resolve));
    keyPort = (keys.address() as AddressInfo).port; // a TCP server has one
    await must('mkdir', ['-p', home]);
    await writeFile(
      join(home, 'config.json'),
      JSON.stringify({ engine: 'sim', fetchAllow: [`127.0.0.1:${keyPort}`], logLevel: 'trace' }),
    );
    await writeFile(join(folder, 'alice.pub'), `${aliceKey}\n`);
    await writeFile(join(folder, 'private'), '-----BEGIN OPENSSH PRIVATE KEY-----\nc2VjcmV0\n');
    expect(await poolhouse('up')).toMatchObject({ exitCode: 0 });
    const installation = await readInstallation(homeAt(home));
    if (installation === undefined) throw new Error('there is no installation');
    arm = await createArmClient(homeAt(home), installation, AbortSignal.timeout(600_000));
  });
  afterAll(async () => {
    await poolhouse('down', '--destroy', '--yes');
    keys.close();
    await rm(folder, { recursive: true, force: true });
  });

  const env = () => ({ ...process.env, POOLHOUSE_HOME: home });
  async function poolhouse(...argv: string[]): Promise<Result> {
    const result = await run(program, argv, { env: env() });
    printed.push(result.stdout, result.stderr);
    return result;
  }
  async function withInput(input: string, ...argv: string[]): Promise<Result> {
    const result = await run(program, argv, { env: env(), input });
    printed.push(result.stdout, result.stderr);
    return result;
  }
  async function document<T>(...argv: string[]): Promise<T> {
    const result = await poolhouse(...argv, '--json');
    expect(result, result.stderr).toMatchObject({ exitCode: 0, stderr: '' });
    return JSON.parse(result.stdout) as T;
  }
  const show = async (name: string) => (await document<UserDocument>('users', 'show', name)).properties;
  const deploy = (admin: string, ...more: string[]) =>
    poolhouse(
      ...['deploy', '-g', 'team', '-f', template, '-p', `adminUsername=${admin}`],
      ...['-p', 'adminPassword=Correct-Horse-7', '-p', `adminPublicKey=${bobKey}`, ...more],
    );

  it('are none at first', async () => {
    expect(await document('users', 'list')).toEqual([]);
    expect((await poolhouse('users', 'list')).stdout).toContain('poolhouse users add NAME');
    expect(await document('groups', 'list')).toEqual([]);
  });

  it('are added, with a password from standard input that no list of processes shows', async () => {
    const seen: string[] = [];
    const child = spawn(
      program,
      ['users', 'add', 'alice', '--password-stdin', '--ssh-key', join(folder, 'alice.pub')],
      {
        env: env(),
      },
    );
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text: Buffer) => (output += text.toString()));
    const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
    child.stdin.end(`${password}\n`);
    for (let over = false; !over; over = child.exitCode !== null) {
      for (const pid of await readdir('/proc'))
        if (/^\d+$/.test(pid))
          for (const file of ['cmdline', 'environ'])
            seen.push(await readFile(join('/proc', pid, file), 'utf8').catch(() => ''));
    }
    expect(await ended).toBe(0);
    printed.push(output);
    expect(output).toContain(aliceFingerprint);
    expect(seen.some((text) => text.includes('users\0add\0alice'))).toBe(true);
    expect(seen.some((text) => text.includes('Horse-battery'))).toBe(false);
    expect(await show('alice')).toEqual({
      ...{ provisioningState: 'Succeeded', uid: 10_000, gid: 10_000, groups: [], pools: ['*'] },
      ...{ sshKeys: [aliceKey], sshKeyFingerprints: [aliceFingerprint], hasPassword: true },
      ...{ disabled: false, sudo: false, quota: null, createdAt: expect.stringMatching(/^\d{4}-/) as string },
    });
  });

  it('are added to groups and pools, with keys that control fetches', async () => {
    const team = await document<GroupDocument>('groups', 'add', 'team', '--user', 'alice');
    expect(team.properties).toMatchObject({ gid: 30_000, members: ['alice'], pools: [] });
    const bob = await document<UserDocument>(
      ...(['users', 'add', 'bob', '--ssh-key', `http://127.0.0.1:${keyPort}/bob.keys`, '--group', 'team'] as const),
      ...(['--pool', 'Team/SharedPool', '--sudo'] as const),
    );
    expect(bob.properties).toMatchObject({
      ...{ uid: 10_001, sshKeys: [bobKey], groups: ['team'], pools: ['team/sharedpool'], sudo: true },
      hasPassword: false,
    });
    expect((await document<GroupDocument>('groups', 'show', 'team')).properties.members).toEqual(['alice', 'bob']);
    const { stdout } = await poolhouse('users', 'list');
    expect(stdout).toMatch(
      /NAME +UID +STATE +SIGNS IN WITH +GROUPS +QUOTA +POOLS\n.*alice.*1 key, password.*every pool\n.*bob/,
    );
    expect(stdout.split('\n').every((line) => line.length <= 80)).toBe(true);
  });

  it('are changed, and what is not named stays', async () => {
    const twice = await poolhouse(
      'users',
      'set',
      'alice',
      '--sudo',
      '--pool',
      'team/sharedpool',
      '--ssh-key',
      join(folder, 'alice.pub'),
    );
    expect(twice).toMatchObject({ exitCode: 0 });
    expect(await show('alice')).toMatchObject({
      ...{ uid: 10_000, sudo: true, pools: ['team/sharedpool'], sshKeys: [aliceKey], groups: ['team'] },
      hasPassword: true,
    });
    await document('users', 'set', 'alice', '--disable', '--no-sudo', '--remove-group', 'team');
    expect(await show('alice')).toMatchObject({ disabled: true, sudo: false, groups: [] });
    expect((await poolhouse('users', 'list')).stdout).toMatch(/alice +10000 +disabled/);
    await document(
      'users',
      'set',
      'alice',
      '--enable',
      '--every-pool',
      '--remove-ssh-key',
      aliceFingerprint,
      '--no-password',
    );
    expect(await show('alice')).toMatchObject({ disabled: false, pools: ['*'], sshKeys: [], hasPassword: false });
    expect((await poolhouse('users', 'show', 'alice')).stdout).toContain('alice cannot sign in yet');
    expect(await withInput(password, 'users', 'set', 'alice', '--password-stdin')).toMatchObject({ exitCode: 0 });
    expect(await show('alice')).toMatchObject({ hasPassword: true });
    await document('groups', 'set', 'team', '--user', 'alice', '--remove-user', 'bob', '--pool', 'team/later');
    expect((await document<GroupDocument[]>('groups', 'list')).map((group) => group.properties)).toMatchObject([
      { gid: 30_000, members: ['alice'], pools: ['team/later'] },
    ]);
  });

  const refused: [what: string, argv: string[], exitCode: number, message: RegExp][] = [
    [
      'a name that is there',
      ['users', 'add', 'alice'],
      1,
      /^Conflict: There is a user 'alice' already.*users set alice/,
    ],
    ["a group's name", ['users', 'add', 'team'], 1, /^Conflict: There is a group 'team'/],
    ['a name of the system', ['users', 'add', 'www-data'], 1, /^InvalidResourceName: .*Choose another/],
    ['a path for a name', ['users', 'add', '../alice'], 1, /^InvalidResourceName: /],
    [
      'an unknown group',
      ['users', 'add', 'carol', '--group', 'staff2'],
      1,
      /There is no group 'staff2'.*groups add staff2/,
    ],
    ['nobody to show', ['users', 'show', 'carol'], 1, /^ResourceNotFound: There is no user 'carol'.*users list/],
    ['nobody to remove', ['users', 'remove', 'carol'], 1, /^ResourceNotFound: /],
    ['nothing to change', ['users', 'set', 'alice'], 2, /Nothing to change was named/],
    ['no password', ['users', 'set', 'alice', '--password-stdin'], 2, /No password came/],
    [
      'an address that is not allowed',
      ['users', 'add', 'carol', '--ssh-key', 'http://127.0.0.1:1/k'],
      1,
      /^FetchNotAllowed/,
    ],
  ];
  it.each(refused)('are not asked for with %s', async (_what, argv, exitCode, message) => {
    const result = await poolhouse(...argv);
    expect(result, result.stderr).toMatchObject({ exitCode, stdout: '' });
    expect(result.stderr).toMatch(message);
    expect(result.stderr).not.toMatch(/^\s+at /m);
  });

  it('are not asked for with a private key, a page that is none, or a short password', async () => {
    const wrong = await poolhouse('users', 'add', 'carol', '--ssh-key', join(folder, 'private'));
    expect(wrong).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/private key.*'\.pub'/) as string });
    expect(wrong.stderr).not.toContain('c2VjcmV0');
    const gone = await poolhouse('users', 'add', 'carol', '--ssh-key', `http://127.0.0.1:${keyPort}/carol.keys`);
    expect(gone).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/^FetchFailed.*404/) as string });
    const short = await withInput('tooshrt', 'users', 'add', 'carol', '--password-stdin', '--json');
    expect(short).toMatchObject({ exitCode: 1, stdout: '' });
    expect(JSON.parse(short.stderr)).toMatchObject({
      error: { code: 'InvalidParameter', target: 'properties.password' },
    });
    expect(short.stderr).not.toContain('tooshrt');
    expect((await document<UserDocument[]>('users', 'list')).map((user) => user.name)).toEqual(['alice', 'bob']);
  });

  it('and admin users of templates have different names, whoever comes first', async () => {
    const refusedPool = await deploy('alice');
    expect(refusedPool).toMatchObject({ exitCode: 1 });
    expect(refusedPool.stderr).toMatch(/Conflict: 'alice' cannot be the admin user.*Choose another 'adminUsername'/s);
    const groups = await arm.send('GET', `/subscriptions/${arm.subscriptionId}/resourcegroups`);
    expect(groups.body['value']).toEqual([]);

    const deployed = await deploy('azure');
    expect(deployed, deployed.stderr).toMatchObject({ exitCode: 0 });
    const refusedUser = await poolhouse('users', 'add', 'azure');
    expect(refusedUser).toMatchObject({ exitCode: 1 });
    expect(refusedUser.stderr).toMatch(
      /^Conflict: 'azure' is the admin user of team\/sharedpool\. Choose another name/,
    );
    expect(await poolhouse('groups', 'add', 'azure')).toMatchObject({ exitCode: 1 });
    const renamed = await deploy('bob');
    expect(renamed.stderr).toMatch(/Conflict: 'bob' cannot be the admin user/);
    await document('users', 'set', 'bob', '--pool', 'sharedpool');
    expect(await show('bob')).toMatchObject({ pools: ['team/sharedpool'] });
  });

  /** What the store says of the instances' people. */
  function digests(): (string | undefined)[] {
    const database = new DatabaseSync(homeAt(home).store, { readOnly: true, timeout: 5_000 });
    try {
      const rows = database.prepare('SELECT state_json FROM instances ORDER BY instance_id').all();
      return rows.map((row) => (JSON.parse(String(row['state_json'])) as { people?: string }).people);
    } finally {
      database.close();
    }
  }

  it('are told to instances that run, which stay what they are', async () => {
    const before = await until('both instances know them', async () => {
      const [one, other] = digests();
      return one !== undefined && one === other ? one : undefined;
    });
    const running = () =>
      document<{ pools: { provisioningState: string; instances: { name: string; power: string }[] }[] }>('status');
    const { pools } = await running();
    await document('users', 'set', 'bob', '--disable');
    const after = await until('both instances know of it', async () => {
      const [one, other] = digests();
      return one !== before && one === other ? one : undefined;
    });
    expect(after).not.toBe(before);
    expect(
      (await running()).pools.map(({ provisioningState, instances }) => [
        provisioningState,
        instances.map(({ name, power }) => [name, power]),
      ]),
    ).toEqual(
      pools.map(({ provisioningState, instances }) => [
        provisioningState,
        instances.map(({ name, power }) => [name, power]),
      ]),
    );
    await document('users', 'set', 'bob', '--enable');
    await until('they are as before', async () => (digests().every((one) => one === before) ? true : undefined));
  });

  it('are resources of the tenant, for whoever is signed in', async () => {
    const { body } = await arm.send('GET', `${users}/alice`);
    expect((await arm.send('PUT', `${users}/alice`, body)).body).toEqual(body);
    const listed = (await arm.send('GET', '/PROVIDERS/poolhouse.identity/USERS?api-version=2024-01-01')).body;
    expect((listed['value'] as JsonObject[]).map((one) => one['name'])).toEqual(['alice', 'bob']);
    expect(await arm.send('PUT', `${users}/carol`, { properties: {} })).toMatchObject({ status: 201 });
    expect(await arm.send('PATCH', `${users}/carol`, { properties: { sudo: true } })).toMatchObject({ status: 200 });
    expect(await arm.send('DELETE', `${users}/carol`)).toMatchObject({ status: 200 });
    expect(await arm.send('DELETE', `${users}/carol`)).toMatchObject({ status: 204 });
    await expect(arm.send('POST', users, {})).rejects.toMatchObject({ code: 'MethodNotAllowed' });
    await expect(arm.send('POST', `${users}/alice`, {})).rejects.toMatchObject({ code: 'MethodNotAllowed' });
    await expect(arm.send('GET', `${users}/alice/keys`)).rejects.toMatchObject({ code: 'NotFound' });
    await expect(arm.send('PUT', `${users}/dora`, '{"properties": []}')).rejects.toMatchObject({
      code: 'InvalidParameter',
    });
    await expect(arm.send('GET', `${users}?api-version=`)).rejects.toMatchObject({
      code: 'InvalidApiVersionParameter',
    });
  });

  it('are still there after a restart, and gone when they are removed, with their uid', async () => {
    const before = await document('users', 'list');
    await document('down');
    expect(await poolhouse('up')).toMatchObject({ exitCode: 0 });
    expect(await document('users', 'list')).toEqual(before);
    expect(await document('users', 'remove', 'alice')).toEqual({ removed: 'alice' });
    expect(await document('groups', 'remove', 'team')).toEqual({ removed: 'team' });
    expect((await document<UserDocument[]>('users', 'list')).map((user) => user.name)).toEqual(['bob']);
    expect((await document<UserDocument>('users', 'add', 'alice')).properties.uid).toBeGreaterThan(10_001);
  });

  it('leave lines in the log, and a secret in no answer and no file', async () => {
    const log = await document<JsonObject[]>('logs', 'control', '-n', '10000');
    const audit = log.flatMap((line) =>
      line['audit'] === undefined ? [] : [`${textOf(line['audit'])} ${textOf(line['user'] ?? line['group'])}`],
    );
    expect(audit).toEqual(
      expect.arrayContaining([
        'user added alice',
        'user changed alice',
        'user removed alice',
        'group added team',
        'group changed team',
        'group removed team',
      ]),
    );
    const files = await readdir(home, { recursive: true, withFileTypes: true });
    // What Node made of our code has our words in it.
    for (const file of files.filter((one) => one.isFile() && !one.parentPath.startsWith(homeAt(home).compiled)))
      printed.push(await readFile(join(file.parentPath, file.name), 'latin1'));
    for (const secret of ['Horse-battery', '$scrypt$', 'tooshrt', Buffer.from(password).toString('base64')])
      expect(printed.filter((text) => text.includes(secret))).toEqual([]);
  });
});
