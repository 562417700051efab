/**
 * Nothing drops: gateways are replaced, killed and several at a time, while people work through them with the clients of
 * OpenSSH and others come and go.
 */
import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { killHard } from './installation.ts';
import { prepareGateways, until, type SshClient } from './gateway-ground.ts';

/** Sends random bytes through a session and takes them back, until it is told to stop. */
function copyThrough(session: SshClient) {
  const { stdin, stdout } = session.child;
  const [sent, received] = [createHash('sha256'), createHash('sha256')];
  const stopping = new AbortController();
  let bytes = 0;
  stdout?.on('data', (chunk: Buffer) => received.update(chunk));
  const sending = (async () => {
    while (!stopping.signal.aborted) {
      const chunk = randomBytes(64 * 1024);
      sent.update(chunk);
      bytes += chunk.length;
      if (stdin?.write(chunk) === false) await new Promise((resolve) => stdin.once('drain', resolve));
      await sleep(20); // it is to last, not to be fast
    }
    stdin?.end();
  })();
  return {
    bytes: () => bytes,
    async finish() {
      stopping.abort();
      await sending;
      expect(await session.done).toBe(0);
      return { sent: sent.digest('hex'), received: received.digest('hex') };
    },
  };
}

describe('a gateway that is replaced', () => {
  it('carries sessions and a copy to their end, twice in a row, and nobody who comes meanwhile is turned away', async () => {
    const ground = await prepareGateways();
    const { ssh, stateOf } = ground;
    const shell = ssh('alice', 'cat');
    await shell.echo('before');
    const copy = copyThrough(ssh('alice', 'cat', { keeps: false }));
    await until('the copy is under way', () => copy.bytes() > 2 ** 20);
    const knocking = ground.knock(20);
    const comers: Promise<number | null>[] = [];
    const coming = setInterval(() => comers.push(ssh('bob', 'true').done), 1_000);

    await ground.restart();
    await shell.echo('after one');
    expect(await stateOf(1)).toMatchObject({ phase: 'leaving', ports: [] });
    const younger = ssh('bob', 'cat');
    await younger.echo('through the second');
    await ground.restart();
    clearInterval(coming);
    const { opened, failures } = await knocking.stop();
    expect(failures).toEqual([]);
    expect(opened).toBeGreaterThan(100);
    expect((await Promise.all(comers)).filter((code) => code !== 0)).toEqual([]);
    expect(comers.length).toBeGreaterThan(2);

    await shell.echo('after two');
    await younger.echo('after the next');
    expect(await Promise.all([1, 2, 3].map(stateOf))).toMatchObject([
      { phase: 'leaving', connections: 2 },
      { phase: 'leaving', connections: 1 },
      { phase: 'serving', connections: 0 },
    ]);
    const { sent, received } = await copy.finish();
    expect(received).toBe(sent);

    // Control knows the sessions of all of them, and its orders reach them there.
    await until('control knows both sessions', () => ground.reports.sessions().length === 2);
    const sessions = ground.reports.sessions();
    expect(sessions.map(({ user }) => user).toSorted()).toEqual(['alice', 'bob']);
    expect(ground.reports.present(Date.now(), 12_000).map(({ phase }) => phase)).toEqual([
      'serving',
      'leaving',
      'leaving',
    ]);
    ground.orders.give(sessions.map(({ id }) => ({ session: id, end: 'Maintenance.' })));
    expect(await Promise.all([shell.done, younger.done])).toEqual([255, 255]);
    // Who has nothing to carry any more ends, and says so.
    await until('both have ended', async () => (await stateOf(1)) === undefined && (await stateOf(2)) === undefined);
    await until('control knows', () => ground.reports.present(Date.now(), 12_000).length === 1);
    expect(await stateOf(3)).toMatchObject({ phase: 'serving' });
  });

  it('goes alone when it is killed, and is not begun again; who serves is', async () => {
    const ground = await prepareGateways();
    const { ssh, stateOf } = ground;
    const old = ssh('alice', 'cat');
    await old.echo('here');
    await ground.restart();
    const young = ssh('bob', 'cat');
    await young.echo('here too');
    const [first, second] = [await stateOf(1), await stateOf(2)];
    killHard(first?.pid ?? null);
    expect(await old.done).toBe(255);
    await young.echo('and still');
    killHard(second?.pid ?? null);
    expect(await young.done).toBe(255);
    await until('the second serves again', async () => (await stateOf(2))?.ports.length === 2);
    expect((await stateOf(2))?.pid).not.toBe(second?.pid);
    expect(await stateOf(1)).toBeUndefined();
    expect(await ssh('alice', 'true').done).toBe(0);
  });

  it('keeps people together with what the old one carries, while control is away', async () => {
    const ground = await prepareGateways({ instances: 2 });
    ground.control.place = () => ({ outcome: 'placed', instance: 'i-1' });
    const session = ground.ssh('alice', 'cat');
    await session.echo('here');
    await ground.link.close();
    await ground.restart();
    // Without the old one's word they would go to i-0, where there is nobody.
    const [other, again] = [ground.ssh('bob', 'cat'), ground.ssh('alice', 'cat')];
    await Promise.all([other.echo('bob'), again.echo('alice')]);
    expect((await ground.placesOf(2, 'alice')).session).toBe('i-1');
    expect((await ground.placesOf(2, 'bob')).session).toBe('i-0');
    await session.echo('still here');
  });
});

describe('several gateways', () => {
  it('share who comes; each has its own sessions, and one that is killed ends no other ones', async () => {
    const ground = await prepareGateways({ gateways: 2, instances: 2 });
    const { ssh, stateOf } = ground;
    ground.control.place = (user) => ({ outcome: 'placed', instance: user === 'alice' ? 'i-1' : 'i-0' });
    const sessions = Array.from({ length: 12 }, () => ssh('alice', 'cat'));
    await Promise.all(sessions.map((session) => session.echo('here')));
    await until('control knows all', () => ground.reports.sessions().length === 12);
    expect(new Set(ground.reports.sessions().map(({ instance }) => instance))).toEqual(new Set(['i-1']));
    const counts = async () => (await Promise.all([1, 2].map(stateOf))).map((state) => state?.connections ?? 0);
    const [one = 0, two = 0] = await counts();
    expect(one + two).toBe(12);
    expect(Math.min(one, two)).toBeGreaterThan(0);

    killHard((await stateOf(1))?.pid ?? null);
    await until(
      'its sessions have ended',
      () => sessions.filter(({ child }) => child.exitCode !== null).length === one,
    );
    const alive = sessions.filter(({ child }) => child.exitCode === null);
    await Promise.all(alive.map((session) => session.echo('and on')));
    expect(await ssh('bob', 'true').done).toBe(0);
    await until('the first serves again', async () => (await stateOf(1))?.ports.length === 2);

    const knocking = ground.knock(20);
    await ground.restart();
    expect((await knocking.stop()).failures).toEqual([]);
    await Promise.all(alive.map((session) => session.echo('to the end')));
    await until('the one that carries nothing has ended', async () => (await stateOf(1)) === undefined);
    expect((await Promise.all([2, 3, 4].map(stateOf))).map((state) => state?.phase)).toEqual([
      'leaving',
      'serving',
      'serving',
    ]);
  });
});
