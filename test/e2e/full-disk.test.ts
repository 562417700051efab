/** A disk that is full: nothing is lost, what is asked for meanwhile is refused in words, and afterwards all goes on. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { StatusDocument } from '../../src/control/status.ts';
import { killHard, missingForSystemTests, must, repository, run, until, type Result } from './installation.ts';

const missing = await missingForSystemTests(['mount', 'umount']);
const template = join(repository, 'examples', 'shared-pool', 'template.json');

describe.skipIf(missing !== undefined)(`a full disk${missing === undefined ? '' : ` (left out: ${missing})`}`, () => {
  let home: string;
  let parameters: string;
  const poolhouse = (...argv: string[]): Promise<Result> =>
    run(join(repository, 'bin', 'poolhouse'), argv, { env: { ...process.env, POOLHOUSE_HOME: home } });
  const deploy = (count: number) =>
    poolhouse('deploy', '-g', 'team', '-f', template, '-p', `@${parameters}`, '-p', `instanceCount=${count}`);
  const status = async () => JSON.parse((await poolhouse('status', '--json')).stdout) as StatusDocument;
  const count = async () => (await status()).pools[0]?.instances.length;
  const fill = () =>
    new Promise<void>((resolve) => {
      execFile('dd', ['if=/dev/zero', `of=${join(home, 'filler')}`, 'bs=1k'], () => {
        resolve(); // it always fails: the disk is full then
      });
    });

  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'poolhouse-full-'));
    parameters = `${home}.parameters.json`;
    await must('mount', ['-t', 'tmpfs', '-o', 'size=24m,mode=700', 'tmpfs', home]);
    await writeFile(
      parameters,
      JSON.stringify({
        parameters: {
          adminUsername: { value: 'alice' },
          adminPassword: { value: 'Correct-Horse-7' },
          adminPublicKey: { value: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ0dqOPMA8xJT4Nr8tqV0Z9EEiOTjFCgZxT1n8PVyLZ' },
        },
      }),
    );
    expect(await poolhouse('up', '--engine', 'sim')).toMatchObject({ exitCode: 0 });
    expect(await deploy(2)).toMatchObject({ exitCode: 0 });
  });
  afterAll(async () => {
    await rm(join(home, 'filler'), { force: true });
    await poolhouse('down', '--destroy', '--yes');
    await run('umount', [home]);
    await rm(home, { recursive: true, force: true });
    await rm(parameters, { force: true });
  });

  it('refuses what would need room, and says so', async () => {
    await fill();
    const refused = await deploy(3);
    expect(refused.exitCode).toBe(1);
    expect(refused.stderr).toContain('Unavailable: ');
    expect(refused.stderr).toContain('full');
    const { control } = await status();
    expect(control.reasons?.join()).toContain('The file system of the installation is full');
    expect((await fetch(control.healthUrl ?? '')).status).toBe(503);
    expect(await count()).toBe(2);
  });

  it('has control again after it was killed', async () => {
    const { control: killed, gateway } = await status();
    const before = killed.pid;
    killHard(before);
    await until('control serves again', async () => {
      const { control } = await status();
      return control.healthy && control.pid !== before ? true : undefined;
    });
    expect(await count()).toBe(2);
    // It has much to log meanwhile, and no room for it: its connections must not end for that.
    const isHeard = async () => (await status()).gateway.pid ?? undefined; // it has to find the new control first
    expect(await until('the gateway has told of itself', isHeard)).toBe(gateway.pid);
  });

  it('goes on when there is room again', async () => {
    await rm(join(home, 'filler'));
    expect(await deploy(3)).toMatchObject({ exitCode: 0 });
    expect(await count()).toBe(3);
    expect((await fetch((await status()).control.healthUrl ?? '')).status).toBe(200);
    // A line that was cut off by the full disk hides no other.
    expect(await readFile(join(home, 'logs', 'control.log'), 'utf8')).toContain('control serves');
    expect((await poolhouse('logs', 'control', '--json')).exitCode).toBe(0);
  });
});
