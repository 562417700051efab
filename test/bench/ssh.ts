/**
 * ssh through the gateway's own process, against HAProxy (which carries bytes and knows nobody) and a jump host, all
 * before the same sshd of OpenSSH, by OpenSSH's client.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { missingForSystemTests, must, repository } from '../e2e/installation.ts';
import { median, type Benchmark } from './benchmark.ts';
import { inTurns, onGround, startHaproxy } from './peers.ts';
import { residentKilobytes } from './process-figures.ts';
import { startSshSite, untilAnswers } from './ssh-site.ts';

const bytes = 1_000_000_000;
const holder = join(repository, 'test/bench/ssh-holder.ts');
type Way = 'direct' | 'gateway' | 'haproxy' | 'jump';

interface Site {
  gatewayPid: number;
  /** ssh's arguments up to the command. */
  by: (way: Way, ...options: string[]) => string[];
  /** Opens so many idle sessions through the gateway. */
  hold: (count: number) => Promise<{ end: () => Promise<void> }>;
}

/** The gateway before an sshd, and the other ways to it. */
function onSite<T>(work: (site: Site) => Promise<T>): Promise<T> {
  return onGround('ssh', async (ground) => {
    const { user, keyFile, gatewayPid, ports: own, to } = await startSshSite(ground);
    const haproxy = await startHaproxy(ground, own.direct);
    const ports: Record<Way, number> = { ...own, haproxy, jump: own.direct };
    const jump = `ProxyCommand=${['ssh', ...to(own.direct, '-W', '[%h]:%p')].join(' ')}`;
    const site: Site = {
      gatewayPid,
      by: (way, ...options) => to(ports[way], ...(way === 'jump' ? ['-o', jump] : []), ...options),
      hold: async (count) => {
        const argv = [holder, String(own.gateway), user, keyFile, String(count)];
        const child = spawn(process.execPath, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
        const ended = once(child, 'exit');
        if ((await Promise.race([once(child.stdout, 'data'), ended]))[0] instanceof Buffer)
          return {
            end: async () => {
              child.stdin.end();
              await ended;
            },
          };
        throw new Error(`${count} sessions could not be opened`);
      },
    };
    for (const way of ['haproxy', 'jump'] as const) await untilAnswers(way, site.by(way));
    return work(site);
  });
}

const missing = async () =>
  (await missingForSystemTests(['ssh', 'sshd', 'haproxy'])) === undefined
    ? undefined
    : 'it needs root, sshd and HAProxy (apt-get install openssh-server haproxy)';

/** Milliseconds until ssh has done it. */
async function timed(argv: readonly string[], command: string): Promise<number> {
  const begun = performance.now();
  await must('sh', ['-c', 'exec ssh "$@" >/dev/null', 'sh', ...argv, command]);
  return performance.now() - begun;
}

/** A gigabyte down, how much faster than by a peer. */
function throughput(name: string, atLeast: number, peer: 'haproxy' | 'jump', ...options: string[]): Benchmark {
  return {
    name,
    unit: 'x',
    goal: { atLeast },
    missing,
    measure: (say) =>
      onSite(async (site) => {
        const names = ['gateway', peer, 'direct'] as const;
        const took = await inTurns(3, names, (way, round) => {
          say(`round ${round + 1} of 3, ${way}`);
          return timed(site.by(way, ...options), `head -c ${bytes} /dev/zero`);
        });
        const rate = (way: (typeof names)[number]) => took[way].map((ms) => bytes / 1e6 / (ms / 1_000));
        return {
          rounds: took.gateway.map((ours, round) => (took[peer][round] ?? NaN) / ours),
          peers: Object.fromEntries(names.map((way) => [`${way} MB/s`, rate(way)])),
        };
      }),
  };
}

export const sshThroughput = throughput('ssh.throughput.vs-haproxy', 1, 'haproxy');
export const sshThroughputAes = throughput(
  'ssh.throughput-aes.vs-haproxy',
  0.95,
  'haproxy',
  ...['-c', 'aes128-gcm@openssh.com'],
);
export const sshThroughputJump = throughput('ssh.throughput.vs-jump', 1.5, 'jump');

/** To connect, run `true` and end: how much longer than without the gateway. */
export const sshConnect: Benchmark = {
  name: 'ssh.connect.added.ms',
  unit: 'ms',
  goal: { atMost: 20 },
  missing,
  measure: () =>
    onSite(async (site) => {
      const took = await inTurns(20, ['direct', 'gateway', 'jump'], (way) => timed(site.by(way), 'true'));
      return {
        rounds: took.gateway.map((ours, round) => ours - (took.direct[round] ?? NaN)).slice(3), // the first ones compile
        peers: { 'direct ms': took.direct, 'gateway ms': took.gateway, 'jump ms': took.jump },
      };
    }),
};

const held = 1_000;

/** Memory when the garbage of the beginning has gone: Node looks for it within three minutes or so where nothing happens. */
async function settledKilobytes(pid: number): Promise<number> {
  const samples: number[] = [];
  for (let seconds = 0; seconds < 200; seconds += 10) {
    await new Promise((resolve) => setTimeout(resolve, 10_000));
    samples.push(await residentKilobytes(pid));
  }
  return median(samples.slice(-3));
}

/** What a connection with a shell costs the gateway's memory while nothing happens. */
export const sshIdle: Benchmark = {
  name: 'ssh.idle-session.kb',
  unit: 'kB',
  goal: { atMost: 100 },
  missing,
  async measure(say) {
    const rounds: number[] = [];
    for (let round = 1; round <= 3; round += 1)
      await onSite(async ({ gatewayPid, hold }) => {
        await (await hold(20)).end(); // what is loaded by the first ones is no cost of a session
        const before = await residentKilobytes(gatewayPid);
        const holding = await hold(held);
        say(`round ${round} of 3: ${held} sessions stand`);
        rounds.push(((await settledKilobytes(gatewayPid)) - before) / held);
        await holding.end();
      });
    return { rounds };
  },
};
