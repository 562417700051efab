/**
 * What carries people for days must not lose one of them, and not grow. The gateway's own process before an sshd, with
 * OpenSSH's clients: many on terminals that do nothing, and fewer that work all the time. The environment chooses:
 *
 * `POOLHOUSE_SOAK_IDLE_SESSIONS` (1000), `POOLHOUSE_SOAK_IDLE_MINUTES` (10),
 * `POOLHOUSE_SOAK_WORK_SESSIONS` (200), `POOLHOUSE_SOAK_WORK_MINUTES` (60)
 */
import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { askGateway, gatewaySocketName, gatewayStateSchema } from '../../src/link/gateway-words.ts';
import { median } from '../bench/benchmark.ts';
import { onGround } from '../bench/peers.ts';
import { openDescriptors, residentKilobytes } from '../bench/process-figures.ts';
import { startSshSite } from '../bench/ssh-site.ts';
import { missingForSystemTests, until } from '../e2e/installation.ts';

const missing = await missingForSystemTests(['ssh', 'ssh-keygen', 'sshd']);
const chosen = (name: string, usual: number) => Number(process.env[`POOLHOUSE_SOAK_${name}`] ?? usual);
const idle = { terminal: true, count: chosen('IDLE_SESSIONS', 1_000), minutes: chosen('IDLE_MINUTES', 10) };
const working = { terminal: false, count: chosen('WORK_SESSIONS', 200), minutes: chosen('WORK_MINUTES', 60) };

const minute = 60_000;
/** To open and to end the sessions. Each step has a limit of its own and all together less: what was begun is always ended. */
const aroundMs = 20 * minute;
const answerMs = minute;
const waves = 20;
const samplesInAll = 40;
/** Every session sends that much, and has it sent back, in one of so many turns. */
const bulk = { bytes: 100_000, every: 30 };

/** Counts what it is asked, says it, and sends back as many bytes as it was told would follow, and their hash. */
const answering = `if [ -t 0 ]; then stty raw -echo; fi; echo ready; n=0
while read -r size && [ "$size" != end ]; do
  n=$((n + 1)); echo "$n $size"
  [ "$size" = 0 ] || { head -c "$size" >"$HOME/$$"; sha256sum <"$HOME/$$"; cat "$HOME/$$"; }
done`;

interface Sample {
  seconds: number;
  residentKilobytes: number;
  descriptors: number;
  /** Of all sessions, so far. */
  questions: number;
}

type Session = Awaited<ReturnType<typeof openSession>>;

/** A shell behind the client with these arguments; every byte that comes back is compared. */
async function openSession(argv: readonly string[]) {
  const child = spawn('ssh', [...argv, answering]);
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()));
  child.stdin.on('error', () => undefined); // what ended it is on stderr
  let unread = Buffer.alloc(0);
  child.stdout.on('data', (chunk: Buffer) => (unread = Buffer.concat([unread, chunk])));
  let asked = 0;

  async function expectBytes(expected: Buffer): Promise<void> {
    const signal = AbortSignal.timeout(answerMs);
    while (unread.length < expected.length)
      await once(child.stdout, 'data', { signal }).catch(() => {
        throw new Error(`A session does not answer question ${asked}; exit code ${child.exitCode}. ${said}`);
      });
    const got = unread.subarray(0, expected.length);
    unread = unread.subarray(expected.length);
    if (!got.equals(expected)) throw new Error(`A session answers question ${asked} with other bytes. ${said}`);
  }

  const session = {
    async ask(bytes: number): Promise<void> {
      asked += 1;
      child.stdin.write(`${bytes}\n`);
      await expectBytes(Buffer.from(`${asked} ${bytes}\n`)); // a shell may read beyond the line what is there already
      if (bytes === 0) return;
      const payload = randomBytes(bytes);
      child.stdin.write(payload);
      const hash = createHash('sha256').update(payload).digest('hex');
      await expectBytes(Buffer.concat([Buffer.from(`${hash}  -\n`), payload]));
    },
    /** The exit code once it was told to go. */
    end(): Promise<number | null> {
      child.stdin.write('end\n');
      const late = sleep(answerMs, undefined, { ref: false }).then(() => {
        throw new Error(`A session that was told to end does not. ${said}`);
      });
      return Promise.race([exited, late]);
    },
    asked: () => asked,
    /** Undefined while it lives. */
    lastWords: () =>
      child.exitCode === null && child.signalCode === null ? undefined : `exit code ${child.exitCode}: ${said}`,
    async kill(): Promise<void> {
      child.kill('SIGKILL');
      await exited;
    },
  };
  await expectBytes(Buffer.from('ready\n')).catch(async (error: unknown) => {
    await session.kill();
    throw error;
  });
  return session;
}

/**
 * Opens so many sessions, does `work` with each until the time is over, and ends them. All must live to the end, and the
 * gateway be as large as it was after the first quarter, and then as empty as before.
 */
function soak(
  { terminal, count, minutes }: typeof idle,
  work: (session: Session, index: number, end: number) => Promise<void>,
) {
  return onGround('soak', async (ground) => {
    const { gatewayPid, ports, to } = await startSshSite(ground);
    const door = join(ground.folder, gatewaySocketName(1));
    const connections = async () => (await askGateway(door, { ask: 'state' }, gatewayStateSchema)).connections;
    await until('nothing is carried yet', async () => ((await connections()) === 0 ? true : undefined));
    await sleep(1_000); // the question's own connection is closed then
    const before = await openDescriptors(gatewayPid);

    const sessions: Session[] = [];
    const samples: Sample[] = [];
    const watch = async () => {
      const begun = Date.now();
      for (let turn = 1; turn <= samplesInAll; turn += 1) {
        await sleep(begun + (turn * minutes * minute) / samplesInAll - Date.now());
        samples.push({
          seconds: Math.round((Date.now() - begun) / 1_000),
          residentKilobytes: await residentKilobytes(gatewayPid),
          descriptors: await openDescriptors(gatewayPid),
          questions: sessions.reduce((sum, session) => sum + session.asked(), 0),
        });
        expect({
          carried: await connections(),
          ended: sessions.flatMap((session) => session.lastWords() ?? []),
        }).toEqual({
          carried: count,
          ended: [],
        });
      }
    };
    try {
      const argv = to(ports.gateway, terminal ? '-tt' : '-T', '-o', 'ServerAliveInterval=15', '-o', 'RekeyLimit=4M');
      const openedBy = Date.now() + aroundMs / 2;
      while (sessions.length < count) {
        const wave = Array.from({ length: Math.min(waves, count - sessions.length) }, () => openSession(argv));
        const opened = await Promise.allSettled(wave);
        sessions.push(...opened.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : [])));
        await Promise.all(wave);
        if (Date.now() > openedBy) throw new Error(`${sessions.length} sessions stand so far: the machine is too busy`);
      }
      const end = Date.now() + minutes * minute;
      await Promise.all([watch(), ...sessions.map((session, index) => work(session, index, end))]);
      await Promise.all(sessions.map((session) => session.ask(0)));
      expect(new Set(await Promise.all(sessions.map((session) => session.end())))).toEqual(new Set([0]));
    } finally {
      console.table(samples.filter((_, index) => index % 4 === 3));
      await Promise.all(sessions.map((session) => session.kill()));
    }
    const inQuarter = (quarter: number, figure: (sample: Sample) => number) =>
      median(samples.slice(((quarter - 1) * samplesInAll) / 4, (quarter * samplesInAll) / 4).map(figure));
    const resident = (quarter: number) => inQuarter(quarter, (sample) => sample.residentKilobytes);
    const descriptors = (quarter: number) => inQuarter(quarter, (sample) => sample.descriptors);
    expect(resident(4)).toBeLessThanOrEqual(resident(2) * 1.1);
    expect(descriptors(4)).toBe(descriptors(2));
    await until(`the gateway has ${before} descriptors again`, async () =>
      (await openDescriptors(gatewayPid)) === before ? true : undefined,
    );
  });
}

describe.skipIf(missing !== undefined)(
  `ssh for a long time${missing === undefined ? '' : ` (left out: ${missing})`}`,
  () => {
    it(
      `${idle.count} idle sessions stand for ${idle.minutes} minutes`,
      () => soak(idle, () => Promise.resolve()),
      idle.minutes * minute + aroundMs,
    );

    it(
      `${working.count} sessions work for ${working.minutes} minutes`,
      () =>
        soak(working, async (session, index, end) => {
          for (let turn = index; Date.now() < end; turn += 1) {
            await session.ask(turn % bulk.every === 0 ? bulk.bytes : 0);
            await sleep(1_000);
          }
        }),
      working.minutes * minute + aroundMs,
    );
  },
);
