/**
 * A machine of the tests' own that boots: a container of the real engine, made from our base image, with this program
 * in /opt/poolhouse as a package has it. With systemd as its init, or with scripts as sysvinit runs them.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StatusDocument } from '../../src/control/status.ts';
import type { Engine, ExecResult } from '../../src/engines/engine.ts';
import { createIncusEngine } from '../../src/engines/incus/incus-engine.ts';
import { engineNames } from '../../src/engines/incus/names.ts';
import { createRestClient } from '../../src/engines/incus/rest-client.ts';
import { ensureEngineDaemon } from '../../src/host/engine-daemon.ts';
import { buildImage, hostSuite } from '../../src/images/build-image.ts';
import { fingerprintOf, loadRecipe } from '../../src/images/recipe.ts';
import { imageCache, must, repository, until } from './installation.ts';
import { lingering } from './inside-instance.ts';

const name = 'box';
const program = '/opt/poolhouse/bin/poolhouse';
const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', HOME: '/root', LC_ALL: 'C.UTF-8' };
const { signal } = new AbortController();

/** What sysvinit does of what counts here: the scripts of a runlevel at the start, and those of another at the end. */
const scriptInit = `#!/bin/sh
trap 'for script in /etc/rc0.d/K*poolhouse*; do [ -e "$script" ] && "$script" stop; done; exit 0' PWR TERM
mount -t tmpfs -o mode=0755 tmpfs /run
ip link set lo up
for script in /etc/rc2.d/S*poolhouse*; do [ -e "$script" ] && "$script" start >>/var/log/boot.log 2>&1; done
touch /run/booted
while :; do sleep 3600 & wait; done
`;

export class Box {
  private readonly engine: Engine;
  private readonly socketPath: string;
  private readonly project: string;
  private readonly folder: string;

  private constructor(parts: { engine: Engine; socketPath: string; project: string; folder: string }) {
    this.engine = parts.engine;
    this.socketPath = parts.socketPath;
    this.project = parts.project;
    this.folder = parts.folder;
  }

  /** A box that has booted, with the program in it. */
  static async make(): Promise<Box> {
    const folder = await mkdtemp(join(tmpdir(), 'poolhouse-box-'));
    const { socketPath } = await ensureEngineDaemon({ logFolder: join(folder, 'log'), signal });
    const installation = randomBytes(4).toString('hex');
    await writeFile(join(folder, 'engine-installation'), installation); // for who takes down what was cut off
    const engine = createIncusEngine({
      installation,
      socketPath,
      addressRange: '10.233.0.0/16',
      poolBytes: 10 * 2 ** 30,
    });
    const box = new Box({ engine, socketPath, project: engineNames(installation).project, folder });
    try {
      await engine.prepare(signal);
      const recipe = await loadRecipe('base', [join(repository, 'images', 'recipes')]);
      const { suite } = await hostSuite();
      const fingerprint = fingerprintOf(recipe, suite);
      const file = await buildImage({ recipe, fingerprint, suite, folder: imageCache, signal });
      await engine.prepareImage({ fingerprint }, file, signal);
      await engine.create(
        {
          name,
          hostname: name,
          image: { fingerprint },
          cpus: 2,
          memoryBytes: 2 * 2 ** 30,
          address: engine.network().gateway.replace(/\d+$/, '20'),
          labels: {},
        },
        signal,
      );
      await box.boot();
      await box.install();
      return box;
    } catch (error) {
      await box.destroy();
      throw error;
    }
  }

  /** Removes it, and all that was made for it. */
  async destroy(): Promise<void> {
    await this.engine.destroy(signal);
    await rm(this.folder, { recursive: true, force: true });
  }

  /** The program without its sources, as `npm pack` takes it, with the packages it needs. */
  private async install(): Promise<void> {
    const code = join(this.folder, 'dist');
    const tsc = join(repository, 'node_modules/typescript/bin/tsc');
    await must(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', code], { cwd: repository });
    await writeFile(join(code, 'build.json'), '{"build": "1111111", "date": "2030-01-01"}');
    const modules = (await must('npm', ['ls', '--all', '--omit=dev', '--parseable'], { cwd: repository }))
      .trim()
      .split('\n')
      .filter((path) => path.includes('/node_modules/'))
      .map((path) => path.slice(repository.length));
    const tar = join(this.folder, 'program.tar');
    const ours = ['bin', 'images', 'examples', 'vendor/ssh2', 'package.json', ...modules];
    await must('tar', ['-cf', tar, '-C', this.folder, 'dist', '-C', repository, ...ours]);
    await this.write('/opt/poolhouse/program.tar', await readFile(tar));
    await this.must('tar -xf /opt/poolhouse/program.tar -C /opt/poolhouse --no-same-owner');
    await this.must('rm /opt/poolhouse/program.tar');
  }

  sh(script: string): Promise<ExecResult> {
    return this.engine.exec(name, lingering(script), { environment, keepBytes: 2 ** 20, timeoutMs: 120_000 }, signal);
  }

  /** A script that has to succeed; gives what it printed. */
  async must(script: string): Promise<string> {
    const { exitCode, stdout, stderr } = await this.sh(script);
    if (exitCode !== 0) throw new Error(`In the box, '${script}' ended with ${exitCode}:\n${stdout}\n${stderr}`);
    return stdout;
  }

  poolhouse(argv: string): Promise<ExecResult> {
    return this.sh(`${program} ${argv}`);
  }

  async document<T>(argv: string): Promise<T> {
    return JSON.parse(await this.must(`${program} ${argv} --json`)) as T;
  }

  status(): Promise<StatusDocument> {
    return this.document<StatusDocument>('status');
  }

  /** Waits until both processes serve, as control itself tells; `as` may ask for more. */
  serving(as: (status: StatusDocument) => boolean = () => true): Promise<StatusDocument> {
    return until('both serve', async () => {
      const { stdout } = await this.sh(
        'curl -s --max-time 5 --unix-socket /run/poolhouse-*/admin.sock http://it/v1/status',
      );
      if (stdout === '') return undefined;
      const now = JSON.parse(stdout) as StatusDocument;
      return now.control.healthy && now.gateway.healthy && as(now) ? now : undefined;
    });
  }

  async write(path: string, content: string | Uint8Array, mode = 0o644): Promise<void> {
    await this.engine.writeFile(name, { path, content, mode, uid: 0, gid: 0 }, signal);
  }

  /** Starts it, and waits until its init is done. */
  private async boot(): Promise<void> {
    await this.engine.setPower(name, 'running', signal);
    await until('it has booted', async () => {
      const { stdout } = await this.sh('[ -e /run/booted ] || systemctl is-system-running');
      return /^(running|degraded|)$/.test(stdout.trim()) ? true : undefined;
    });
  }

  async reboot(): Promise<void> {
    await this.engine.setPower(name, 'stopped', signal);
    await this.boot();
  }

  /** Boots by scripts from now on: there is no systemd. */
  async bootByScripts(): Promise<void> {
    await this.write('/opt/init', scriptInit, 0o755);
    await this.write('/etc/inittab', 'id:2:initdefault:\n');
    await this.engine.setPower(name, 'stopped', signal);
    const client = createRestClient(this.socketPath);
    const path = `/1.0/instances/${name}?project=${this.project}`;
    await client.change('PATCH', path, { config: { 'raw.lxc': 'lxc.init.cmd = /opt/init' } }, signal);
    client.close();
    await this.boot();
  }
}
