/**
 * A machine is shared: two installations beside each other, and beside people who have their own things in the engine
 * and on the ports. Nothing of one touches another, and when both are gone the machine is as it was.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { link, mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureEngineDaemon } from '../../src/host/engine-daemon.ts';
import {
  killHard,
  missingForSystemTests,
  must,
  repository,
  run,
  ssh,
  sshArguments,
  TestInstallation,
  until,
} from './installation.ts';
import {
  differences,
  engineSocket,
  pictureOfEngine,
  processesOf,
  takePicture,
  type Allowed,
  type Picture,
} from './machine-picture.ts';
import { plantNeighbour, type Neighbour } from './neighbour.ts';
import { putTinyFirstImage } from './tiny-first-image.ts';

const missing = await missingForSystemTests(['sshpass', 'nft', 'mmdebstrap', 'ip', 'losetup', 'sysctl']);
const password = 'Base-Image-Pass-1';

/** What may differ afterwards, and why. */
const allowed: readonly Allowed[] = [
  {
    line: /^files of \/etc: f \/etc\/(passwd|group|shadow|gshadow|subuid|subgid)- /,
    because: 'the system keeps the text before the last change of accounts',
  },
  { line: /^files: \S+ \/var\/lib\/(lxd|incus)\/database\//, because: 'the engine, which ran before, keeps a journal' },
  {
    line: /^rules of nft: table bridge (lxd|incus) \{ {2}table bridge/,
    because: 'the engine, which runs on, keeps the table of its address filters, empty',
  },
];

describe.skipIf(missing !== undefined)(
  `two installations and a neighbour${missing === undefined ? '' : ` (left out: ${missing})`}`,
  () => {
    let a: TestInstallation;
    let b: TestInstallation;
    let neighbour: Neighbour;
    let folder: string;
    let before: Picture;
    const made: TestInstallation[] = [];
    const ids: string[] = [];

    async function makeInstallation(): Promise<TestInstallation> {
      const installation = await TestInstallation.make({ poolGiB: 10 });
      made.push(installation);
      await putTinyFirstImage(installation.home);
      return installation;
    }

    const deploy = (installation: TestInstallation, count: number) =>
      installation.mustPoolhouse(
        ...['deploy', '-g', 'team', '-f', join(repository, 'test/e2e/nat-pool.json')],
        ...['-p', 'adminUsername=bob', '-p', `adminPassword=${password}`, '-p', `instanceCount=${count}`, '--json'],
      );
    const addressOf = async (installation: TestInstallation) =>
      (await installation.pool('nat')).frontEnds[0]?.address ?? '';
    const inside = async (installation: TestInstallation, command: string) =>
      (await ssh(password, 'bob', await addressOf(installation), command, ['-p', '50000'])).stdout.trim();

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), 'poolhouse-neighbours-'));
      const { socketPath } = await ensureEngineDaemon({
        logFolder: join(folder, 'log'),
        signal: AbortSignal.timeout(60_000),
      });
      neighbour = await plantNeighbour(socketPath);
      before = await takePicture();
    });
    afterAll(async () => {
      for (const installation of made) if ((await installation.id()) !== undefined) await installation.destroy();
      for (const installation of made) await rm(installation.home, { recursive: true, force: true });
      await neighbour.remove();
      await rm(folder, { recursive: true });
    });

    it('come up at the same time, with nothing in common', async () => {
      [a, b] = [await makeInstallation(), await makeInstallation()];
      await Promise.all([a.mustPoolhouse('up'), b.mustPoolhouse('up')]);
      const [one, other] = await Promise.all(
        [a, b].map(
          async ({ home }) =>
            JSON.parse(await readFile(join(home, 'installation.json'), 'utf8')) as Record<string, unknown>,
        ),
      );
      for (const name of ['id', 'apiPort', 'addressBlock', 'subscriptionId', 'clientId'])
        expect(one?.[name], name).not.toBe(other?.[name]);
      ids.push(String(one?.['id']), String(other?.['id']));
      for (const installation of [one, other]) expect(installation?.['apiPort']).not.toBe(8_943); // is the neighbour's
      const engine = await pictureOfEngine();
      const networks = ids.map(
        (id) => /"ipv4\.address":"([\d.]+)/.exec(engine.find((line) => line.includes(`"name":"ph${id}"`)) ?? '')?.[1],
      );
      expect(networks[0]).toMatch(/^10\.231\./);
      expect(networks[0]).not.toBe(networks[1]);
      await neighbour.expectUndisturbed();
    });

    it('run pools of the same names, and each leads to its own', async () => {
      await deploy(a, 2);
      await shareImages(a, b);
      await deploy(b, 1);
      expect(await addressOf(a)).not.toBe(await addressOf(b));
      await inside(a, 'echo of-a > whose');
      await inside(b, 'echo of-b > whose');
      expect(await inside(a, 'hostname; cat whose')).toBe('nat000000\nof-a');
      expect(await inside(b, 'hostname; cat whose')).toBe('nat000000\nof-b');
      await neighbour.expectUndisturbed();
    });

    it('change nothing of each other', async () => {
      const [, idB = ''] = ids;
      const itsOwn = new RegExp(`^\\S+ poolhouse-${idB}|^poolhouse-${idB} |"name":"(poolhouse-|ph)${idB}`);
      const ofB = async () => (await pictureOfEngine()).filter((line) => itsOwn.test(line));
      const was = await ofB();
      await deploy(a, 1);
      await until('the surplus instance is gone', async () =>
        (await a.pool('nat')).instances.length === 1 ? true : undefined,
      );
      expect(await ofB()).toEqual(was);
      await neighbour.expectUndisturbed();
    });

    it('go one at a time: a session through the other lives on, however often `down --destroy` is killed', async () => {
      const session = await holdSession(await addressOf(b));
      try {
        await session.echo('before');
        const [idA = '', idB = ''] = ids;
        const rules = async () => (await run('nft', ['list', 'table', 'inet', `poolhouse_${idB}`])).stdout;
        const rulesBefore = await rules();
        // Killed as soon as it ends the processes, in the middle of the engine's things, and when these are gone.
        for (const gone of [`/run/poolhouse-${idA}/control.pid`, 'instances', 'project'])
          await destroyKilledWhen(a, () => isGone(gone, idA));
        await session.echo('meanwhile');
        expect((await a.poolhouse('down', '--destroy', '--yes')).stderr).not.toMatch(/Error/);
        expect(await readdir(a.home).catch(() => [])).toEqual([]);
        expect(await processesOf([a.home, idA])).toEqual([]);
        await session.echo('after');
        expect(await rules()).toBe(rulesBefore);
        expect(await inside(b, 'cat whose')).toBe('of-b');
        expect((await run('id', ['poolhouse'])).exitCode).toBe(0);
        expect(await must('nft', ['list', 'ruleset'])).not.toContain(idA);
        await neighbour.expectUndisturbed();
      } finally {
        session.end();
      }
    });

    it('are removed also where `up` was stopped before it was done', async () => {
      const moments: [string, (id: string | undefined) => Promise<boolean>][] = [
        ['before there is an installation', () => Promise.resolve(true)],
        ['while the engine is prepared', async (id) => id !== undefined && !(await isGone('project', id))],
        ['while the image is taken in', async (id) => id !== undefined && !(await isGone('pool', id))],
      ];
      for (const [what, reached] of moments) {
        const c = await makeInstallation();
        const up = spawn(join(repository, 'bin', 'poolhouse'), ['up'], { env: c.env, stdio: 'ignore', detached: true });
        const ended = once(up, 'exit');
        while (up.exitCode === null && !(await reached(await c.id())))
          await new Promise((next) => setTimeout(next, 20));
        process.kill(-(up.pid ?? NaN), 'SIGINT'); // as a terminal does: to all that run in it
        await ended;
        const id = await c.id();
        if (id !== undefined) ids.push(id);
        const destroyed = await c.poolhouse('down', '--destroy', '--yes');
        expect(destroyed, what).toMatchObject({ exitCode: 0 });
        if (id !== undefined) {
          const engine = await pictureOfEngine();
          expect(
            engine.filter((line) => line.includes(id)),
            what,
          ).toEqual([]);
        }
      }
      expect(await inside(b, 'cat whose')).toBe('of-b');
    });

    it('leave the machine as it was', async () => {
      expect(await b.mustPoolhouse('down', '--destroy', '--yes')).toContain(b.home);
      expect(await b.mustPoolhouse('down', '--destroy', '--yes')).toBe('There was nothing to remove.\n');
      await neighbour.expectUndisturbed();
      expect(differences(before, await takePicture(), ids, allowed)).toEqual([]);
      expect(await processesOf([...ids, ...made.map(({ home }) => home)])).toEqual([]);
    });
  },
);

/** So that the same image is not built twice. */
async function shareImages(from: TestInstallation, to: TestInstallation): Promise<void> {
  await mkdir(join(to.home, 'images'), { recursive: true });
  for (const name of await readdir(join(from.home, 'images')))
    if (name.endsWith('.tar'))
      await link(join(from.home, 'images', name), join(to.home, 'images', name)).catch(() => undefined); // is there
}

/** Whether something of an installation is gone. */
async function isGone(what: string, id: string): Promise<boolean> {
  if (what.startsWith('/')) return (await run('test', ['-e', what])).exitCode !== 0;
  const engine = await pictureOfEngine(engineSocket());
  const pattern = {
    instances: new RegExp(`^poolhouse-${id} instances .*"name":"nat`),
    project: new RegExp(`^project poolhouse-${id}$`),
    pool: new RegExp(`^pool .*"poolhouse-${id}-shares"`),
  }[what];
  if (pattern === undefined) throw new Error(`'${what}' is not known`);
  return !engine.some((line) => pattern.test(line));
}

async function destroyKilledWhen(installation: TestInstallation, reached: () => Promise<boolean>): Promise<void> {
  const child = spawn(join(repository, 'bin', 'poolhouse'), ['down', '--destroy', '--yes'], {
    env: installation.env,
    stdio: 'ignore',
  });
  const ended = once(child, 'exit');
  while (child.exitCode === null && !(await reached())) await new Promise((next) => setTimeout(next, 20));
  if (child.exitCode === null) killHard(child.pid ?? null);
  await ended;
}

interface Session {
  /** Sends a line, and waits until the other side has said it back. */
  echo(text: string): Promise<void>;
  end(): void;
}

async function holdSession(address: string): Promise<Session> {
  const child: ChildProcess = spawn('sshpass', ['-e', 'ssh', ...sshArguments('bob', address, 'cat', ['-p', '50000'])], {
    env: { ...process.env, SSHPASS: password },
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  let heard = '';
  child.stdout?.on('data', (chunk) => (heard += String(chunk)));
  await once(child, 'spawn');
  return {
    async echo(text) {
      child.stdin?.write(`${text}\n`);
      await until(`the session says '${text}'`, () => Promise.resolve(heard.includes(text) ? true : undefined), 15_000);
    },
    end: () => child.kill(),
  };
}
