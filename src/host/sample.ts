/** The first pool, from `examples/shared-pool`: deployed once, and not again when it was deleted since. */
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StatusDocument } from '../control/status.ts';
import { PoolhouseError } from '../core/errors.ts';
import type { Home } from '../core/home.ts';
import { programFiles } from '../core/program-files.ts';
import { createArmClient } from './arm-client.ts';
import { deployTemplate } from './deploy-template.ts';
import { askControl } from './local-api.ts';
import type { Progress } from './progress.ts';
import { runCommand } from './run-command.ts';
import type { UpResult } from './up.ts';

export interface Sample {
  /** Undefined where it was deleted since. */
  pool: StatusDocument['pools'][number] | undefined;
  user: string;
  passwordFile: string;
  keyFile: string | undefined;
  simulated: boolean;
}

const group = 'shared-pool';
const poolName = 'sharedpool';
const user = 'alice';
const folder = join(programFiles.root, 'examples', 'shared-pool');
const rotationLimit = 120_000;

export async function ensureSample(
  home: Home,
  result: UpResult,
  progress: Progress,
  signal: AbortSignal,
): Promise<Sample> {
  await mkdir(home.sample, { recursive: true, mode: 0o700 });
  const passwordFile = join(home.sample, 'password');
  const marker = join(home.sample, 'deployed');
  const password = await readOrMake(passwordFile, () => `${randomBytes(12).toString('base64url')}-Aa1`);
  const { publicKey, keyFile } = await sshKey(home);
  const simulated = result.installation.engine === 'sim';
  if ((await readFile(marker, 'utf8').catch(() => '')) === '') {
    const client = await createArmClient(home, result.installation, signal);
    const parameters = {
      poolName: { value: poolName },
      adminUsername: { value: user },
      adminPassword: { value: password },
      adminPublicKey: { value: publicKey },
      storageAccountName: { value: `shared${result.installation.id}` },
    };
    await deployTemplate(
      client,
      {
        group,
        location: 'local',
        name: 'shared-pool',
        template: { text: await readFile(join(folder, 'template.json'), 'utf8') },
        parameters,
      },
      progress,
      signal,
    );
    await writeFile(marker, new Date().toISOString(), { mode: 0o600 });
  }
  const pool = simulated
    ? await findPool(result)
    : await progress.step('the pool is in rotation', () => waitForRotation(result, signal));
  return { pool, user, passwordFile, keyFile, simulated };
}

async function findPool(result: UpResult): Promise<Sample['pool']> {
  const status = JSON.parse(await askControl(result.run.adminSocket, '/v1/status')) as StatusDocument; // of our own process
  return status.pools.find((pool) => pool.resourceGroup === group && pool.name === poolName);
}

async function waitForRotation(result: UpResult, signal: AbortSignal): Promise<Sample['pool']> {
  const deadline = Date.now() + rotationLimit;
  for (;;) {
    const pool = await findPool(result);
    if (pool === undefined || pool.capacity === 0) return pool;
    if (pool.instances.filter((instance) => instance.inRotation).length >= pool.capacity) return pool;
    if (Date.now() > deadline) {
      const reasons = pool.instances.flatMap((instance) =>
        instance.inRotation ? [] : [`${instance.name}: ${instance.reason === '' ? instance.power : instance.reason}`],
      );
      throw new PoolhouseError(
        'Unavailable',
        `The sample pool is not in rotation after ${rotationLimit / 1_000} s: ${reasons.join('; ')}. 'poolhouse logs control' tells more.`,
      );
    }
    await sleep(200, undefined, { signal });
  }
}

async function readOrMake(file: string, make: () => string): Promise<string> {
  const present = await readFile(file, 'utf8').catch(() => '');
  if (present.trim() !== '') return present.trim();
  const value = make();
  await writeFile(file, `${value}\n`, { mode: 0o600 });
  return value;
}

/** The public key of the person who calls, or a pair of our own. */
async function sshKey(home: Home): Promise<{ publicKey: string; keyFile: string | undefined }> {
  const own = join(homedir(), '.ssh');
  for (const name of (await readdir(own).catch(() => [])).filter((one) => /^id_\w+\.pub$/.test(one)).toSorted()) {
    const publicKey = (await readFile(join(own, name), 'utf8')).trim();
    if (publicKey !== '') return { publicKey, keyFile: undefined };
  }
  const keyFile = join(home.sample, 'id_ed25519');
  if ((await readFile(`${keyFile}.pub`, 'utf8').catch(() => '')) === '') {
    const made = await runCommand('ssh-keygen', [
      '-q',
      '-t',
      'ed25519',
      '-N',
      '',
      '-C',
      'poolhouse sample',
      '-f',
      keyFile,
    ]);
    if (made.exitCode !== 0)
      throw new PoolhouseError(
        'HostNotReady',
        `'ssh-keygen' failed: ${made.stderr.trim()}. Install it: apt-get install openssh-client`,
      );
  }
  return { publicKey: (await readFile(`${keyFile}.pub`, 'utf8')).trim(), keyFile };
}

/** How to reach the pool, and how to undo it. Pure. @param program how this program was called */
export function connectingWords(sample: Sample, program: string): string {
  const { pool } = sample;
  if (pool === undefined) return `Poolhouse is up. The sample pool was deleted before, and is not made again.\n`;
  const front = (port: number) => pool.frontEnds.find((one) => one.backendPort === port);
  const ssh = front(22);
  const web = front(8000);
  const key = sample.keyFile === undefined ? '' : `-i ${sample.keyFile} `;
  const port = ssh === undefined || ssh.port === 22 ? '' : `-p ${ssh.port} `;
  const lines = [
    `The pool '${pool.name}' is ready: ${pool.instances.filter((instance) => instance.inRotation).length} of ${pool.capacity} instances in rotation.`,
    '',
    ...(ssh === undefined ? [] : [`  ssh       ssh ${key}${port}${sample.user}@${ssh.address}`]),
    ...(web === undefined ? [] : [`  browser   https://${web.address}:${web.port}/   (user ${sample.user})`]),
    `  password  cat ${sample.passwordFile}`,
    '',
    ...(sample.simulated
      ? ['This pool is simulated: nothing answers at these addresses.']
      : [
          "The certificate in the browser comes from the installation's own authority (certificates/ca.pem): it warns once.",
        ]),
    `State: ${program} status     Stop: ${program} down     Undo all: ${program} down --destroy`,
  ];
  return `${lines.join('\n')}\n`;
}
