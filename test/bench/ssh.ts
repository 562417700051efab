/**
 * ssh through the gateway's own process, against HAProxy (which carries bytes and knows nobody) and a jump host, all
 * before the same sshd of OpenSSH, by OpenSSH's client.
 */
import { generateKeyPairSync } from 'node:crypto';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodePublicKey } from '../../src/gateway/ssh/ssh-keys.ts';
import { missingForSystemTests, must, repository, run, until } from '../e2e/installation.ts';
import type { Benchmark } from './benchmark.ts';
import { freePort, inTurns, onGround, routeTo, startGateway, startHaproxy, type Ground } from './peers.ts';

const bytes = 1_000_000_000;
/** Somebody with a shell, whom every machine has. */
const user = 'root';
const ways = ['direct', 'gateway', 'haproxy', 'jump'] as const;
const holder = join(repository, 'test/bench/ssh-holder.ts');
type Way = (typeof ways)[number];

interface Site {
  gatewayPid: number;
  /** ssh's arguments up to the command. */
  by: (way: Way, ...options: string[]) => string[];
  /** Opens so many idle sessions through the gateway. */
  hold: (count: number) => Promise<{ end: () => Promise<void> }>;
}

/**
 * An sshd that takes the bench's key and the gateway's certificates, and what leads to it. Its shells begin in an empty home:
 * what somebody's own would run at its start is not to be measured.
 */
function onSite<T>(work: (site: Site) => Promise<T>): Promise<T> {
  return onGround('ssh', async (ground) => {
    const at = (name: string) => join(ground.folder, name);
    const keygen = (name: string) => must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at(name)]);
    await Promise.all(['key', 'instance'].map(keygen));
    const lineOf = async (name: string) => (await readFile(at(`${name}.pub`), 'utf8')).split(' ').slice(0, 2).join(' ');
    const authority = generateKeyPairSync('ed25519');
    const { type, blob } = encodePublicKey(authority.publicKey);
    const pem = (key: typeof authority.privateKey) => key.export({ format: 'pem', type: 'pkcs8' }) as string; // PEM is text
    const [direct, gateway] = [await freePort(), await freePort()];
    await startSshd(ground, direct, `${type} ${blob.toString('base64')}`);
    const haproxy = await startHaproxy(ground, direct);
    const served = await startGateway(ground, [routeTo(gateway, direct, { protocol: 'ssh', pool: 'bench' })], {
      revision: '1',
      users: [{ name: user, pools: 'all', keys: [await lineOf('key')] }],
      hostKeys: [pem(generateKeyPairSync('ed25519').privateKey)],
      userAuthority: pem(authority.privateKey),
      userAuthorities: [],
      instanceKeys: { one: [await lineOf('instance')] },
    });
    const ports: Record<Way, number> = { direct, gateway, haproxy, jump: direct };
    const common = [
      ...['-F', 'none', '-i', at('key'), '-o', 'BatchMode=yes', '-o', 'LogLevel=ERROR'],
      ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
    ];
    const jump = ['ssh', ...common, '-p', String(direct), '-W', '[%h]:%p', `${user}@127.0.0.1`].join(' ');
    const site: Site = {
      gatewayPid: served.pid ?? 0,
      by: (way, ...options) => [
        ...common,
        ...(way === 'jump' ? ['-o', `ProxyCommand=${jump}`] : []),
        ...['-p', String(ports[way]), ...options, `${user}@127.0.0.1`],
      ],
      hold: async (count) => {
        const argv = [holder, String(gateway), user, at('key'), String(count)];
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
    for (const way of ways)
      await until(`ssh answers (${way})`, async () =>
        (await run('ssh', [...site.by(way), 'true'])).exitCode === 0 ? true : undefined,
      );
    return work(site);
  });
}

async function startSshd({ folder, start }: Ground, port: number, authority: string): Promise<void> {
  await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
  const at = (name: string) => join(folder, name);
  await writeFile(at('authority'), `${authority}\n`);
  await writeFile(
    at('sshd_config'),
    `ListenAddress 127.0.0.1:${port}
HostKey ${at('instance')}
AuthorizedKeysFile ${at('key.pub')}
TrustedUserCAKeys ${at('authority')}
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
MaxStartups 2000
SetEnv HOME=${folder}
LogLevel QUIET
`,
  );
  start('/usr/sbin/sshd', '-D', '-f', at('sshd_config'));
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
        await new Promise((resolve) => setTimeout(resolve, 20_000)); // garbage of the beginning goes
        rounds.push(((await residentKilobytes(gatewayPid)) - before) / held);
        await holding.end();
      });
    return { rounds };
  },
};

async function residentKilobytes(pid: number): Promise<number> {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, 'utf8'))?.[1] ?? NaN);
}
