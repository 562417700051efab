/** On the real engine: how long until a pool, and one more instance, are in rotation. */
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { missingForSystemTests, must, repository, TestInstallation, until } from '../e2e/installation.ts';
import type { Benchmark } from './benchmark.ts';

const fixtures = join(repository, '..', 'shared', 'fixtures', 'templates');
const template = 'dsvm-vmss-cluster.json';
const missing = async () =>
  existsSync(join(fixtures, template))
    ? missingForSystemTests(['az', 'nft', 'mmdebstrap'])
    : 'the published template is not beside this checkout';

interface Rounds {
  /** Each gives the seconds until all instances are in rotation. */
  deploy: () => Promise<number>;
  scale: (capacity: number) => Promise<number>;
  remove: () => Promise<void>;
}

async function withPool(say: (text: string) => void, work: (rounds: Rounds) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'poolhouse-bench-'));
  await mkdir(join(folder, 'mirror'));
  await writeFile(
    join(folder, 'mirror', 'mountazurefiles.sh'),
    '#!/bin/sh\nmkdir -p "$4"\nmount -t cifs "//$1.file.core.windows.net/$3" "$4" -o "vers=3.0,username=$1,password=$2"\n',
  );
  await copyFile(join(fixtures, template), join(folder, template));
  const installation = await TestInstallation.make({
    mirrors: {
      'https://raw.githubusercontent.com/Azure/DataScienceVM/master/Extensions/General/': join(folder, 'mirror'),
    },
    poolGiB: 30,
  });
  try {
    say('preparing an installation');
    await installation.mustPoolhouse('up');
    const azOf = async (profile: 'latest' | 'hybrid') => {
      const az = await installation.az(profile);
      return async (...argv: string[]) => {
        const result = await az(...argv);
        if (result.exitCode !== 0) throw new Error(`az ${argv.join(' ')}: ${result.stderr}`);
        return result.stdout.trim();
      };
    };
    // Shares by the newer commands, scale sets by the older ones: as in the test of the published template.
    const [azStorage, azCompute] = [await azOf('latest'), await azOf('hybrid')];
    await azStorage('group', 'create', '-n', 'bench-files', '-l', 'local');
    await azStorage(
      'storage',
      'account',
      'create',
      '-g',
      'bench-files',
      '-n',
      'teamfiles',
      '-l',
      'local',
      '--sku',
      'Standard_LRS',
    );
    await azStorage(
      'storage',
      'share-rm',
      'create',
      '-g',
      'bench-files',
      '--storage-account',
      'teamfiles',
      '-n',
      'dsvmshare',
      '--quota',
      '5',
    );
    const key = await azStorage(
      'storage',
      'account',
      'keys',
      'list',
      '-g',
      'bench-files',
      '-n',
      'teamfiles',
      '--query',
      '[0].value',
      '-o',
      'tsv',
    );
    const inRotation = (count: number) =>
      until('the pool is in rotation', async () => {
        const pool = await installation.pool('teampool').catch(() => undefined);
        return pool?.instances.filter((instance) => instance.inRotation).length === count ? true : undefined;
      });
    const timed = async (work: () => Promise<unknown>, count: number) => {
      const begun = performance.now();
      await Promise.all([work(), inRotation(count)]);
      return (performance.now() - begun) / 1_000;
    };
    await work({
      deploy: () =>
        timed(
          () =>
            must(
              join(repository, 'bin', 'poolhouse'),
              [
                'deploy',
                '-g',
                'bench',
                '-f',
                join(folder, template),
                '-p',
                `@${join(fixtures, 'dsvm-vmss-cluster.parameters.json')}`,
                '-p',
                `storageAccountKey=${key}`,
              ],
              { env: installation.env },
            ),
          2,
        ),
      // From the request on: az takes seconds of its own to get there.
      scale: async (capacity) => {
        const arm = await installation.arm();
        const set = `/subscriptions/${arm.subscriptionId}/resourcegroups/bench/providers/Microsoft.Compute/virtualMachineScaleSets/teampool`;
        return timed(() => arm.send('PATCH', set, { sku: { capacity } }), capacity);
      },
      remove: async () => {
        await azCompute('group', 'delete', '-n', 'bench', '--yes');
      },
    });
  } finally {
    await installation.destroy();
    await rm(folder, { recursive: true, force: true });
  }
}

export const deployInRotation: Benchmark = {
  name: 'deploy.in-rotation.s',
  unit: 's',
  goal: { atMost: 10 },
  missing,
  async measure(say) {
    const rounds: number[] = [];
    await withPool(say, async ({ deploy, remove }) => {
      for (let round = 1; round <= 3; round += 1) {
        say(`round ${round} of 3`);
        rounds.push(await deploy());
        await remove();
      }
    });
    return { rounds };
  },
};

export const scaleInRotation: Benchmark = {
  name: 'scale.in-rotation.s',
  unit: 's',
  goal: { atMost: 6 },
  missing,
  async measure(say) {
    const rounds: number[] = [];
    await withPool(say, async ({ deploy, scale }) => {
      await deploy();
      for (let round = 1; round <= 3; round += 1) {
        say(`round ${round} of 3`);
        rounds.push(await scale(3));
        await scale(2);
      }
    });
    return { rounds };
  },
};
