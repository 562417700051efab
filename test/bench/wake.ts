/** On the real engine: from `ssh alice@pool hostname` to its answer, where no instance runs. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { missingForSystemTests, must, repository, TestInstallation, until } from '../e2e/installation.ts';
import type { Benchmark } from './benchmark.ts';

const rounds = 3;
const group = 'bench';

interface SleepingPool {
  /** Puts the pool to sleep, and waits until it does. */
  stop: () => Promise<void>;
  empty: () => Promise<void>;
  /** Empties it, and waits until a standby instance is frozen. */
  freeze: () => Promise<void>;
  /** Seconds until a person who connects has the answer of their command. */
  answer: () => Promise<number>;
}

/** A pool of the base image with one instance, and a person who has a key. */
async function withPool(say: (text: string) => void, work: (pool: SleepingPool) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'poolhouse-bench-wake-'));
  const installation = await TestInstallation.make({ poolGiB: 20 });
  const poolhouse = (...argv: string[]) => installation.mustPoolhouse(...argv);
  try {
    say('preparing an installation');
    await must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(folder, 'key')]);
    await poolhouse('up');
    await poolhouse('users', 'add', 'alice', '--ssh-key', join(folder, 'key.pub'));
    await poolhouse(
      ...['deploy', '-g', group, '-f', join(repository, 'test/e2e/nat-pool.json')],
      ...['-p', 'adminUsername=azure', '-p', 'adminPassword=Base-Image-Pass-1', '-p', 'instanceCount=1', '--json'],
    );
    const arm = await installation.arm();
    const set = `/subscriptions/${arm.subscriptionId}/resourcegroups/${group}/providers/Microsoft.Compute/virtualMachineScaleSets/nat`;
    const instances = async () => (await installation.pool('nat')).instances;
    const when = (what: string, is: (all: Awaited<ReturnType<typeof instances>>) => boolean) =>
      until(what, async () => (is(await instances()) ? true : undefined));
    await when('the instance is in rotation', (all) => all.length === 1 && all.every((one) => one.inRotation));
    const address = (await installation.pool('nat')).frontEnds[0]?.address ?? '';
    const nobody = () => when('nobody is there', (all) => all.every((one) => one.sessions === 0));
    await work({
      stop: async () => {
        await nobody();
        const [one] = await instances();
        await arm.send('POST', `${set}/poweroff`, { instanceIds: [one?.instanceId ?? ''] });
        await when('it is stopped', (all) => all.every(({ power }) => power === 'stopped'));
      },
      empty: async () => {
        await nobody();
        await arm.send('PATCH', set, { sku: { capacity: 0 } });
        await when('the pool is empty', (all) => all.length === 0);
      },
      freeze: async () => {
        await nobody();
        const tags = { 'poolhouse-standby': '1', 'poolhouse-standby-power': 'frozen' };
        await arm.send('PATCH', set, { tags, sku: { capacity: 0 } });
        await when('a standby is frozen', (all) => all.length === 1 && all[0]?.power === 'frozen');
      },
      answer: async () => {
        const begun = performance.now();
        await must('ssh', [
          ...['-F', 'none', '-i', join(folder, 'key'), '-o', 'BatchMode=yes', '-o', 'LogLevel=ERROR'],
          ...['-o', `UserKnownHostsFile=${join(folder, 'known')}`, '-o', 'StrictHostKeyChecking=accept-new'],
          ...[`alice@${address}`, 'hostname'],
        ]);
        return (performance.now() - begun) / 1_000;
      },
    });
  } finally {
    await installation.destroy();
    await rm(folder, { recursive: true, force: true });
  }
}

function wake(name: string, atMost: number, sleep: 'stop' | 'empty' | 'freeze'): Benchmark {
  return {
    name,
    unit: 's',
    goal: { atMost },
    missing: () => missingForSystemTests(['ssh', 'nft', 'mmdebstrap']),
    async measure(say) {
      const measured: number[] = [];
      await withPool(say, async (pool) => {
        for (let round = 1; round <= rounds; round += 1) {
          await pool[sleep]();
          measured.push(await pool.answer());
          say(`round ${round} of ${rounds}: ${measured.at(-1)?.toFixed(2)} s`);
        }
      });
      return { rounds: measured };
    },
  };
}

export const wakeStopped = wake('wake.stopped.s', 1.5, 'stop');
export const wakeNothing = wake('wake.nothing.s', 6, 'empty');
export const wakeFrozen = wake('wake.frozen.s', 0.5, 'freeze');
