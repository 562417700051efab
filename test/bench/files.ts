/** On the real engine: work on a share beside the same work on the instance's own disk, and how long a snapshot takes. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createIncusEngine } from '../../src/engines/incus/incus-engine.ts';
import { missingForSystemTests, repository, TestInstallation } from '../e2e/installation.ts';
import { engineSocket } from '../e2e/machine-picture.ts';
import type { Benchmark } from './benchmark.ts';

const rounds = 5;
const local = '/root/bench';
const program = '/root/file-work.py';
type Work = 'sequential' | 'small' | 'git' | 'pip';

interface Site {
  /** A workspace on a share, as the instance sees it. */
  workspace: string;
  /** Seconds that a piece of work took in a new folder of this one. */
  time: (work: Work | 'many' | 'prepare', folder: string) => Promise<number>;
  /** Seconds that a snapshot of the share took. */
  snapshot: (name: string) => Promise<number>;
}

async function withSite(say: (text: string) => void, work: (site: Site) => Promise<void>): Promise<void> {
  const installation = await TestInstallation.make({ poolGiB: 30 });
  try {
    say('preparing an installation');
    await installation.mustPoolhouse('up', '--sample');
    const engine = createIncusEngine({
      ...{ installation: (await installation.id()) ?? '', socketPath: engineSocket() },
      ...{ addressRange: '10.231.0.0/16', poolBytes: 0 }, // nothing is made
    });
    const { signal } = new AbortController();
    const instance = (await engine.list(signal)).find(({ attachments }) => attachments.length > 0);
    const shown = instance?.attachments.find(({ folder }) => folder === '');
    if (instance === undefined || shown === undefined) throw new Error('no instance of the sample shows a share');
    const { account, share } = shown;
    const run = async (...argv: string[]) => {
      const result = await engine.exec(instance.name, argv, { timeoutMs: 300_000 }, signal);
      if (result.exitCode !== 0) throw new Error(`${argv.join(' ')}: ${result.stderr}`);
      return result.stdout;
    };
    const content = await readFile(join(repository, 'test/bench/file-work.py'));
    await engine.writeFile(instance.name, { path: program, content, mode: 0o600, uid: 0, gid: 0 }, signal);
    await engine.ensureFolder({ account, share, folder: 'notebooks/bench', uid: 0, gid: 0, mode: 0o700 }, signal);
    await run('mkdir', '-p', local);
    await work({
      workspace: `${shown.path}/notebooks/bench`,
      async time(kind, folder) {
        const place = `${folder}/${kind}`;
        await run('rm', '-rf', place);
        await run('mkdir', '-p', place);
        await run('sync');
        const seconds = Number(await run('python3', '-I', program, kind, place));
        if (kind !== 'many') await run('rm', '-rf', place);
        return seconds;
      },
      async snapshot(name) {
        const begun = performance.now();
        await engine.snapshotShare(account, share, name, signal);
        return (performance.now() - begun) / 1_000;
      },
    });
  } finally {
    await installation.destroy();
  }
}

const missing = () => missingForSystemTests(['nft', 'mmdebstrap']);

/** How many times as quick as the instance's own disk a workspace is; beside it, the seconds of both. */
function beside(name: string, kind: Work, goal: Benchmark['goal']): Benchmark {
  return {
    ...{ name, unit: 'x', goal, missing },
    async measure(say) {
      const ratios: number[] = [];
      const [own, shared]: [number[], number[]] = [[], []];
      await withSite(say, async ({ workspace, time }) => {
        if (kind === 'git' || kind === 'pip') await time('prepare', '/root/prepare');
        for (let round = 0; round <= rounds; round += 1) {
          // Who goes first has the colder caches: they take turns.
          const places = round % 2 === 0 ? [workspace, local] : [local, workspace];
          const seconds = new Map<string, number>();
          for (const place of places) seconds.set(place, await time(kind, place));
          if (round === 0) continue; // both are warm from then on
          shared.push(seconds.get(workspace) ?? NaN);
          own.push(seconds.get(local) ?? NaN);
          ratios.push((own.at(-1) ?? NaN) / (shared.at(-1) ?? NaN));
          say(`round ${round} of ${rounds}: ${ratios.at(-1)?.toFixed(2)}`);
        }
      });
      return { rounds: ratios, peers: { 'workspace s': shared, 'own disk s': own } };
    },
  };
}

export const filesSequential = beside('files.sequential.vs-local', 'sequential', { atLeast: 0.9 });
export const filesSmall = beside('files.small.vs-local', 'small', { atLeast: 0.9 });
export const filesGit = beside('files.git-clone.vs-local', 'git', { atLeast: 0.9 });
export const filesPip = beside('files.pip-install.vs-local', 'pip', { atLeast: 0.9 });

export const filesSnapshot: Benchmark = {
  name: 'files.snapshot-100k.s',
  unit: 's',
  goal: { atMost: 1 },
  missing,
  async measure(say) {
    const measured: number[] = [];
    await withSite(say, async ({ workspace, time, snapshot }) => {
      say('making 100,000 files');
      await time('many', workspace);
      for (let round = 1; round <= rounds; round += 1) measured.push(await snapshot(`round-${round}`));
    });
    return { rounds: measured };
  },
};
