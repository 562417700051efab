/** Shares on a real instance: what somebody deleted comes back from a snapshot, quotas change while it is mounted, and a deleted share comes back. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { endAllButDaemon } from '../chaos/real-faults.ts';
import { viewEngine } from '../chaos/engine-view.ts';
import type { ShareDetails } from '../../src/control/share-desk.ts';
import { homeAt, runtimeFolderOf } from '../../src/core/home.ts';
import { missingForSystemTests, ssh, TestInstallation, until, type Result } from './installation.ts';
import { poolPassword, poolResources, poolUser } from './pool-resources.ts';

const missing = await missingForSystemTests(['sshpass', 'nft', 'mmdebstrap', 'curl', 'az']);

describe.skipIf(missing !== undefined)(`snapshots${missing === undefined ? '' : ` (left out: ${missing})`}`, () => {
  let installation: TestInstallation;
  let az: (...argv: string[]) => Promise<Result>;
  let address: string;
  const share = ['-g', 'team', '--storage-account', 'teamfiles', '--name', 'files'];
  const workspace = `/mnt/files/notebooks/${poolUser}`;

  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'poolhouse-snapshots-'));
    const line = '//teamfiles.file.core.windows.net/files /mnt/files cifs username=teamfiles,password=KEY 0 0';
    const key = "listKeys(resourceId('Microsoft.Storage/storageAccounts', 'teamfiles'), '2022-09-01').keys[0].value";
    const template = JSON.stringify({
      $schema: 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#',
      contentVersion: '1.0.0.0',
      resources: [
        {
          type: 'Microsoft.Storage/storageAccounts',
          apiVersion: '2022-09-01',
          name: 'teamfiles',
          location: 'westeurope',
          kind: 'StorageV2',
          sku: { name: 'Standard_LRS' },
          tags: { 'poolhouse-snapshots': 'hourly=2' },
          properties: {},
        },
        {
          type: 'Microsoft.Storage/storageAccounts/fileServices/shares',
          apiVersion: '2022-09-01',
          name: 'teamfiles/default/files',
          dependsOn: ["[resourceId('Microsoft.Storage/storageAccounts', 'teamfiles')]"],
          properties: { shareQuota: 1 },
        },
        ...poolResources({
          ...{ name: 'red', natPorts: true },
          command: `mkdir -p /mnt/files; echo "${line}" >> /etc/fstab; mount -a -t cifs`,
          dependsOn: [
            "[resourceId('Microsoft.Storage/storageAccounts/fileServices/shares', 'teamfiles', 'default', 'files')]",
          ],
        }),
      ],
    }).replace('KEY', `', ${key}, '`);
    await writeFile(join(folder, 'template.json'), template);
    installation = await TestInstallation.make({ poolGiB: 30 });
    await installation.up();
    await installation.mustPoolhouse('deploy', '-g', 'team', '-f', join(folder, 'template.json'));
    await rm(folder, { recursive: true });
    address = (await installation.pool('red')).frontEnds[0]?.address ?? '';
    az = await installation.az('latest');
  });
  afterAll(() => installation.destroy());

  /** As the user, without root's rights. */
  const asUser = (command: string) => ssh(poolPassword, poolUser, address, command, ['-p', '50000']);
  const details = async () =>
    JSON.parse(await installation.mustPoolhouse('shares', 'show', 'teamfiles/files', '--json')) as ShareDetails;
  const mustAz = async (...argv: string[]) => {
    const result = await az('storage', 'share-rm', ...argv);
    expect(result.exitCode, result.stderr).toBe(0);
    return result.stdout.trim();
  };

  it('show what was deleted to its owner, who copies it back, and who can change nothing in them', async () => {
    const wrote = await asUser(`echo thesis > ${workspace}/thesis.ipynb`);
    expect(wrote.exitCode, wrote.stderr).toBe(0);
    await mustAz('snapshot', ...share);
    const name = (await details()).snapshotList.findLast(({ takenBy }) => takenBy === 'hand')?.name ?? '';
    const kept = `/mnt/files/.snapshots/${name}/notebooks/${poolUser}`;
    expect((await asUser(`rm ${workspace}/thesis.ipynb; cp -a ${kept}/thesis.ipynb ${workspace}/; cat ${workspace}/thesis.ipynb`)).stdout).toBe('thesis\n'); // prettier-ignore
    expect((await asUser(`echo other > ${kept}/thesis.ipynb`)).stderr).toContain('Read-only file system');
    expect((await asUser(`sudo -n sh -c 'rm -f ${kept}/thesis.ipynb; touch ${kept}/x'; cat ${kept}/thesis.ipynb`)).stdout).toBe('thesis\n'); // prettier-ignore
    await until('the schedule has taken one', async () =>
      (await details()).snapshotList.some(({ takenBy }) => takenBy === 'schedule') ? true : undefined,
    );
  });

  it('have a quota that says no, grows and shrinks while the share is mounted', async () => {
    const fill = (mib: number) =>
      asUser(`dd if=/dev/urandom of=${workspace}/large bs=1M count=${mib} conv=fsync 2>&1; ls -s ${workspace}/large`);
    expect((await fill(1_300)).stdout).toContain('Disk quota exceeded');
    await mustAz('update', ...share, '--quota', '2');
    expect((await fill(1_300)).stdout).not.toContain('exceeded');
    await until('it is told', async () => {
      const notes = (await installation.status()).notes ?? [];
      return (await details()).usedBytes > 1_300 * 2 ** 20 && notes.length === 0 ? true : undefined;
    });
    // Less than what is used: nothing is lost, and nothing more fits.
    await mustAz('update', ...share, '--quota', '1');
    expect((await asUser(`dd if=/dev/urandom of=${workspace}/more bs=1M count=50 conv=fsync 2>&1`)).stdout).toContain('Disk quota exceeded'); // prettier-ignore
    await until('the operator sees it', async () =>
      (await installation.mustPoolhouse('status')).includes('! The share teamfiles/files is 1') ? true : undefined,
    );
    expect((await asUser(`rm ${workspace}/large ${workspace}/more; sync; echo fits > ${workspace}/note; cat ${workspace}/note`)).stdout).toBe('fits\n'); // prettier-ignore
  });

  it('are restored to the end, although all of ours ends in the middle', async () => {
    await mustAz('update', ...share, '--quota', '2');
    const many = `${workspace}/many`;
    const make = `import os
for folder in range(40):
    os.makedirs(f"${many}/{folder}")
    for name in range(1000):
        open(f"${many}/{folder}/{name}", "w").write(f"{folder}/{name} " * 20)`;
    const asWhole = `cd ${many} && find . -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum`;
    const files = async () => Number((await asUser(`find ${many} -type f | wc -l`)).stdout);
    expect((await ssh(poolPassword, poolUser, address, 'python3 -', ['-p', '50000'], make)).exitCode).toBe(0);
    const whole = (await asUser(asWhole)).stdout;
    expect(whole).toMatch(/^[0-9a-f]{64}/);
    const { snapshot } = JSON.parse(await installation.mustPoolhouse('shares', 'snapshot', 'teamfiles/files', '--json')) as { snapshot: string }; // prettier-ignore
    await asUser(
      `cd ${many} && rm -rf [1-3]* && for one in 0/*; do echo other > $one; done && mkdir later && touch later/one`,
    );
    expect(await files()).toBeLessThan(10_000);
    // Its first look has the file server made, which takes longer than all that follows.
    await installation.mustPoolhouse('shares', 'restore', 'teamfiles/files', '--snapshot', snapshot, '--path', `notebooks/${poolUser}/note`, '--yes'); // prettier-ignore
    const begun = JSON.parse(await installation.mustPoolhouse('shares', 'restore', 'teamfiles/files', '--snapshot', snapshot, '--path', `notebooks/${poolUser}/many`, '--yes', '--no-wait', '--json')) as { id: string; before: string }; // prettier-ignore
    const restored = async () => (await details()).restores.find(({ id }) => id === begun.id);
    await until('it is under way', async () => ((await files()) > 10_000 ? true : undefined), 120_000);
    const id = (await installation.id()) ?? '';
    const home = homeAt(installation.home);
    const engine = viewEngine(id);
    await endAllButDaemon({ id, home: home.folder, runFolder: runtimeFolderOf(home, id, true).folder, store: home.store }, engine); // prettier-ignore
    engine.client.close();
    await installation.mustPoolhouse('up');
    await until('it ended', async () => ((await restored())?.state === 'Running' ? undefined : true), 180_000);
    expect(await restored()).toMatchObject({ state: 'Succeeded', before: begun.before });
    const log = await readFile(join(home.folder, 'logs', 'control.log'), 'utf8');
    const begins = log.split('\n').filter((line) => line.includes(begun.id) && line.includes('is being restored'));
    expect(begins.length, 'it was under way when all ended').toBeGreaterThan(1);
    await until(
      'the instance is back',
      async () => ((await asUser('true')).exitCode === 0 ? true : undefined),
      120_000,
    );
    expect((await asUser(asWhole)).stdout).toBe(whole);
    const kept = `/mnt/files/.snapshots/${begun.before}/notebooks/${poolUser}/many`;
    expect((await asUser(`cat ${kept}/0/5; ls ${kept}/later ${many}/later`)).stdout).toBe(
      `other\n${kept}/later:\none\n`,
    );
    await asUser(`rm -rf ${many}`);
  });

  it('stay with a share that is deleted, which comes back with all that was in it', async () => {
    await mustAz('delete', ...share, '--include', 'snapshots', '--yes');
    expect((await asUser(`cat ${workspace}/note`)).exitCode).not.toBe(0);
    const deleted = JSON.parse(await mustAz('list', '-g', 'team', '--storage-account', 'teamfiles', '--include-deleted', '-o', 'json')) as { version: string }[]; // prettier-ignore
    expect(deleted).toMatchObject([{ name: 'files', deleted: true, remainingRetentionDays: 7 }]);
    await mustAz('restore', ...share, '--deleted-version', deleted[0]?.version ?? '');
    await until('it is shown again', async () =>
      (await asUser(`cat ${workspace}/note ${workspace}/thesis.ipynb`)).stdout === 'fits\nthesis\n' ? true : undefined,
    );
    expect((await details()).snapshotList.length).toBeGreaterThan(1);
  });

  it('are not touched when a key is made anew, and neither is what is mounted', async () => {
    const before = (await asUser('grep " /mnt/files " /proc/self/mountinfo | cut -d" " -f1')).stdout;
    const renewed = await az(
      'storage',
      'account',
      'keys',
      'renew',
      '-g',
      'team',
      '-n',
      'teamfiles',
      '--key',
      'primary',
    );
    expect(renewed.exitCode, renewed.stderr).toBe(0);
    expect((await asUser('grep " /mnt/files " /proc/self/mountinfo | cut -d" " -f1')).stdout).toBe(before);
    expect((await asUser(`cat ${workspace}/note`)).stdout).toBe('fits\n');
  });
});
