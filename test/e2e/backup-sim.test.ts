/** A backup made while a simulated installation works, and restored on a machine that has nothing of it: all without root. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { DatabaseSync } from 'node:sqlite';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { homeAt } from '../../src/core/home.ts';
import { dig, textOf } from '../../src/core/json.ts';
import { createArmClient } from '../../src/host/arm-client.ts';
import { readInstallation } from '../../src/host/installations.ts';
import type { StatusDocument } from '../../src/control/status.ts';
import { must, repository, run, until, type Result } from './installation.ts';

const password = 'Correct-Horse-7';
const publicKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ0dqOPMA8xJT4Nr8tqV0Z9EEiOTjFCgZxT1n8PVyLZ alice';
const program = join(repository, 'bin', 'poolhouse');

interface BackupDocument {
  file: string;
  bytes: number;
  installation: string;
  masterKey: { kind: string; inBackup: boolean; file: string };
  shares: null;
}

describe('a backup of a simulated installation', { timeout: 240_000 }, () => {
  let folder: string;
  /** Where it was, where it is restored, and what nobody makes. */
  let [home, other, third]: [string, string, string] = ['', '', ''];
  let file: string;
  let key: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-backup-'));
    [home, other, third] = [join(folder, 'home'), join(folder, 'other'), join(folder, 'third')];
    file = join(folder, 'backup.tar');
    key = join(folder, 'key');
  });
  afterAll(async () => {
    for (const at of [home, other, third]) await poolhouse(at, 'down', '--destroy', '--yes');
    await rm(folder, { recursive: true, force: true });
  });

  const env = (at: string) => ({ ...process.env, POOLHOUSE_HOME: at });
  const poolhouse = (at: string, ...argv: string[]): Promise<Result> => run(program, argv, { env: env(at) });
  const mustPoolhouse = (at: string, ...argv: string[]) => must(program, argv, { env: env(at) });
  const status = async (at: string) => JSON.parse(await mustPoolhouse(at, 'status', '--json')) as StatusDocument;
  const restore = (at: string, ...more: string[]) =>
    poolhouse(at, 'restore', file, '--master-key', key, '--yes', ...more);

  /** What has to be the same afterwards. */
  async function picture(at: string) {
    const installation = await readInstallation(homeAt(at));
    if (installation === undefined) throw new Error('there is no installation');
    const arm = await createArmClient(homeAt(at), installation, AbortSignal.timeout(60_000)); // signs in with the client's secret
    const group = `/subscriptions/${arm.subscriptionId}/resourceGroups/team`;
    const accounts = `${group}/providers/Microsoft.Storage/storageAccounts`;
    const account = textOf(dig((await arm.send('GET', accounts)).body, 'value', 0, 'name'));
    const keys = (await arm.send('POST', `${accounts}/${account}/listKeys`)).body;
    const { apiPort: _port, metricsPorts: _ports, ...identity } = installation;
    const { pools } = await status(at);
    const database = new DatabaseSync(homeAt(at).store, { readOnly: true });
    const alice = database.prepare(`SELECT * FROM users WHERE name = 'alice'`).get();
    database.close();
    return {
      identity,
      keys: textOf(dig(keys, 'keys', 0, 'value')),
      hostKeys: await mustPoolhouse(at, 'host-keys'),
      authority: await readFile(join(at, 'certificates', 'ca.pem'), 'utf8'),
      alice,
      instances: pools.flatMap((pool) => pool.instances.map(({ name, address }) => `${name} ${address}`)),
    };
  }
  let before: Awaited<ReturnType<typeof picture>>;

  it('is one file that only its owner reads, made while people are added', async () => {
    await mustPoolhouse(home, 'up', '--engine', 'sim');
    await must(program, ['users', 'add', 'alice', '--password-stdin'], { env: env(home), input: password });
    await mustPoolhouse(
      ...[home, 'deploy', '-g', 'team', '-f', join(repository, 'examples/shared-pool/template.json')],
      ...['-p', 'adminUsername=azure', '-p', `adminPassword=${password}`, '-p', `adminPublicKey=${publicKey}`],
    );
    await until('two instances run', async () =>
      (await status(home)).pools[0]?.instances.filter(({ power }) => power === 'running').length === 2
        ? true
        : undefined,
    );
    before = await picture(home);
    const [said] = await Promise.all([
      mustPoolhouse(home, 'backup', file, '--json'),
      mustPoolhouse(home, 'users', 'add', 'bob'),
    ]);
    const document = JSON.parse(said) as BackupDocument;
    expect(document).toMatchObject({
      file,
      masterKey: { kind: 'file', inBackup: false, file: join(home, 'secrets/key') },
      shares: null,
    });
    const found = await stat(file);
    expect({ size: found.size, mode: found.mode & 0o777 }).toEqual({ size: document.bytes, mode: 0o600 });
    expect(await readdir(folder)).toEqual(['backup.tar', 'home']);
    const bytes = await readFile(file);
    const masterKey = await readFile(join(home, 'secrets/key'));
    for (const secret of [masterKey, Buffer.from(before.keys), Buffer.from(masterKey.toString('hex'))])
      expect(bytes.includes(secret)).toBe(false);
    await copyFile(join(home, 'secrets/key'), key);
  });

  it('says nothing without a terminal but how it ended, and where the key is', async () => {
    const copy = join(folder, 'copy.tar');
    const made = await poolhouse(home, 'backup', copy);
    expect(made).toMatchObject({ exitCode: 0, stderr: '' });
    expect(made.stdout).toContain(`What opens them is NOT in it: keep a copy of ${join(home, 'secrets/key')}`);
    await rm(copy);
    expect(await poolhouse(home, 'backup', join(home, 'inside.tar'))).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('would go with it') as string,
    });
    expect((await poolhouse(third, 'backup', copy)).stderr).toContain('there is nothing to keep');
    expect((await poolhouse(home, 'backup')).exitCode).toBe(2);
  });

  it('fails whole where what shares hold cannot be had, and leaves no file and no snapshot', async () => {
    const copy = join(folder, 'shares.tar');
    expect(await poolhouse(home, 'backup', copy, '--shares')).toMatchObject({
      exitCode: 1,
      stderr: 'OperationNotAllowed: Simulated shares hold no files.\n',
    });
    expect(await readdir(folder)).toEqual(['backup.tar', 'home', 'key']);
    await until('no snapshot is left', async () =>
      /"backup-\d/.test(await readFile(join(home, 'sim.json'), 'utf8')) ? undefined : true,
    );
  });

  it('is made with control stopped too', async () => {
    await mustPoolhouse(home, 'down');
    const copy = join(folder, 'copy.tar');
    await mustPoolhouse(home, 'backup', copy);
    expect(await poolhouse(home, 'backup', copy, '--shares')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('only control reads what shares hold') as string,
    });
    expect(existsSync(copy)).toBe(true); // the one from before stays
    await rm(copy);
    await mustPoolhouse(home, 'up');
  });

  it('is not restored where it does not belong, with what does not fit, or in a part', async () => {
    expect((await restore(home)).stderr).toContain(`${home} is in use`);
    if (process.getuid?.() === 0) expect((await restore(other)).stderr).toContain('is on this machine already');
    await mustPoolhouse(home, 'down', '--destroy', '--yes');
    expect((await poolhouse(other, 'restore', file, '--yes')).stderr).toContain('is in no backup');
    expect(await poolhouse(other, 'restore', file, '--master-key', key)).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining('Say --yes') as string,
    });
    const wrong = join(folder, 'wrong');
    await writeFile(wrong, Buffer.alloc(32, 1));
    const given = await poolhouse(other, 'restore', file, '--master-key', wrong, '--yes');
    expect(given).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('is another master key') as string });
    await rm(wrong);
    const part = join(folder, 'part.tar');
    await writeFile(part, (await readFile(file)).subarray(0, -5_000));
    expect((await poolhouse(other, 'restore', part, '--master-key', key, '--yes')).stderr).toContain('it is not whole');
    await rm(part);
    expect((await readdir(other)).filter((name) => !name.startsWith('.lock'))).toEqual([]); // nothing was touched
  });

  it('goes on where its restore was killed, and nobody else begins there', async () => {
    const child = spawn(program, ['restore', file, '--master-key', key, '--yes'], { env: env(other), stdio: 'ignore' });
    const ended = new Promise((resolve) => child.once('exit', resolve));
    const note = join(other, 'restoring.json');
    await until('it has begun', async () => (existsSync(note) ? true : undefined));
    child.kill('SIGKILL');
    await ended;
    const kept = await readFile(note, 'utf8');
    await writeFile(note, JSON.stringify({ ...(JSON.parse(kept) as object), phase: 'files' }));
    expect((await poolhouse(other, 'up')).stderr).toContain('was cut off');
    await writeFile(note, JSON.stringify({ ...(JSON.parse(kept) as object), backup: crypto.randomUUID() }));
    expect((await restore(other)).stderr).toContain('is another one. Go on with that one');
    await writeFile(note, kept);

    const done = await restore(other);
    expect(done.exitCode, done.stderr).toBe(0);
    expect(done.stdout).toContain(`The installation ${before.identity.id} is there again`);
    expect(done.stdout).toContain('all shares are empty');
    expect(existsSync(note)).toBe(false);
  });

  it('gives back all that there was', async () => {
    await until('its instances run', async () =>
      (await status(other)).pools[0]?.instances.filter(({ power }) => power === 'running').length === 2
        ? true
        : undefined,
    );
    const after = await picture(other);
    expect(after).toEqual(before);
    expect(after.alice).toMatchObject({ name: 'alice' });
    // It goes on as it was: a change works, and so does the next backup.
    await mustPoolhouse(other, 'users', 'add', 'carol');
    await mustPoolhouse(other, 'backup', join(folder, 'next.tar'));
    expect((await restore(other)).stderr).toContain('is in use');
    await mustPoolhouse(other, 'up');
    expect(await picture(other)).toEqual(before);
  });

  it('with a passphrase opens with that, and with no other', async () => {
    await writeFile(join(folder, 'words'), 'six words that nobody guesses');
    await mustPoolhouse(other, 'rotate-key', '--to', 'passphrase', '--passphrase-file', join(folder, 'words'));
    const made = await mustPoolhouse(other, 'backup', file);
    expect(made).toContain('What opens them is the passphrase, which is written down nowhere');
    await mustPoolhouse(other, 'down', '--destroy', '--yes');
    await mkdir(third);
    await writeFile(join(folder, 'others'), 'six words that somebody guesses');
    const give = (words: string) =>
      poolhouse(third, 'restore', file, '--yes', '--passphrase-file', join(folder, words));
    expect((await give('others')).stderr).toContain('not the passphrase of this backup');
    const done = await give('words');
    expect(done.exitCode, done.stderr).toBe(0);
    expect(await picture(third)).toEqual(before);
  });
});
