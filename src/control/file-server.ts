/**
 * Keeps the file server: a service instance of ours with every share attached, where work on what shares hold is done, and by which
 * others come to shares (SMB, NFS). It is no pool's: nobody is placed on it, and nothing but its address and its image is written down.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { errorBodyOf, PoolhouseError } from '../core/errors.ts';
import type { EpochMillis } from '../core/time.ts';
import type { EngineInstance } from '../engines/engine.ts';
import { serviceAddress } from '../pool/addresses.ts';
import { isTold, planFileServer, servedPath, type FileServerStep, type ServedShare } from '../pool/plan-file-server.ts';
import type { ServiceFront } from '../pool/service-fronts.ts';
import { findResources } from '../store/resource-records.ts';
import {
  isForSmb,
  readFileServerWord,
  readServedShares,
  unservedShares,
  type FileServerWord,
  type WaysIn,
} from './file-server-word.ts';
import type { ImageKeeper } from './image-keeper.ts';
import type { InstanceDoors } from './instance-doors.ts';
import { fileServerName, isService, serviceLabel } from './service-instances.ts';
import type { World } from './world.ts';

const recipe = 'fileserver';
const cpus = 2;
const memoryBytes = 512 * 2 ** 20;
const settledDelay = 5_000;
const firstRetry = 1_000;
const longestRetry = 60_000;
/** Pools that are being made go first, but not for ever. */
const poolsFirstFor = 300_000;

const smbPort = 445;
const nfsPort = 2049;

export interface FileServerStatus {
  state: 'not made' | 'being made' | 'running' | 'stopped';
  address: string;
  /** Why it does not do what it should; undefined where it does. */
  reason?: string;
  /** What SMB clients ask for: `//ADDRESS/SHARE`; more than one account may have a share of a name. */
  smb: { account: string; path: string }[];
  /** What NFS clients ask for: `ADDRESS:/ACCOUNT/SHARE`. */
  nfs: { source: string; clients: readonly string[]; readOnly: boolean }[];
}

export interface FileServerParts {
  world: World;
  images: ImageKeeper;
  doors: InstanceDoors;
  ways: WaysIn;
  /** The public address of the ways in; undefined where the operator has none for them. */
  publicAddress: string | undefined;
  /** Whether that address reaches other machines. */
  isOutside: boolean;
}

export interface FileServer {
  pass(signal: AbortSignal): Promise<number>;
  /** Somebody has work for it: it is made where it is not there. */
  need(): void;
  /** What leads to it from outside, to nobody while it is not there; and that it reaches nobody, which is so always. */
  fronts(): ServiceFront[];
  status(): Promise<FileServerStatus | undefined>;
  /** What the operator should know; undefined where all is well. */
  trouble(): string | undefined;
}

const saidSchema = z.object({ smb: z.string(), nfs: z.string() });

export function createFileServer(parts: FileServerParts): FileServer {
  const { world, images, doors, ways } = parts;
  const { store, engine, clock, log, secrets } = world;
  const isSwitchedOn = ways.smb || ways.nfs.length > 0;
  const isReal = engine.capabilities().real;
  let neededSince: EpochMillis | undefined = isSwitchedOn ? clock.now() : undefined;
  let told: { word: string; at: EpochMillis } | undefined;
  let failure: { message: string; attempts: number; retryAt: EpochMillis; isOfShares: boolean } | undefined;
  let found: EngineInstance | undefined;
  let unserved: readonly string[] = [];

  const model = () =>
    createHash('sha256')
      .update(JSON.stringify([images.reference(recipe).fingerprint, cpus, memoryBytes]))
      .digest('hex')
      .slice(0, 16);

  async function arePoolsFirst(now: EpochMillis): Promise<boolean> {
    if (now - (neededSince ?? now) >= poolsFirstFor) return false;
    const sets = await findResources(store.db, { type: 'Microsoft.Compute/virtualMachineScaleSets' });
    return sets.some(
      ({ provisioningState, deletingSince }) =>
        deletingSince === undefined && provisioningState !== 'Succeeded' && provisioningState !== 'Failed',
    );
  }

  async function tell(word: FileServerWord, digest: string, signal: AbortSignal): Promise<void> {
    const result = await engine.exec(
      fileServerName,
      ['/usr/lib/poolhouse/ways-in'],
      { stdin: JSON.stringify(word), timeoutMs: 60_000 },
      signal,
    );
    if (result.exitCode !== 0)
      throw new PoolhouseError(
        'Unavailable',
        `The file server could not be told whom it lets in (exit code ${result.exitCode}). It will be tried again.`,
        { cause: new Error(result.stderr.slice(-2_000)), retryable: true },
      );
    const said = saidSchema.parse(JSON.parse(result.stdout));
    for (const [name, wanted] of [
      ['smb', word.smb.length > 0],
      ['nfs', word.nfs.length > 0],
    ] as const)
      if (wanted && said[name] !== 'active' && said[name] !== 'activating')
        throw new PoolhouseError('Unavailable', `The ${name.toUpperCase()} server does not run. It is started again.`, {
          retryable: true,
        });
    told = { word: digest, at: clock.now() };
  }

  async function carryOut(step: FileServerStep, said: { word: FileServerWord; digest: string }, signal: AbortSignal) {
    switch (step.step) {
      case 'prepareImage':
        images.prepare(recipe);
        return;
      case 'remove':
        told = undefined;
        await engine.delete(fileServerName, signal);
        return;
      case 'create':
        told = undefined;
        await engine.create(
          {
            name: fileServerName,
            hostname: fileServerName,
            image: images.reference(recipe),
            cpus,
            memoryBytes,
            address: serviceAddress(engine.network()),
            labels: { [serviceLabel]: fileServerName, 'model-version': model() },
            controlFolder: await doors.open(fileServerName),
            service: true,
          },
          signal,
        );
        return;
      case 'start':
        told = undefined;
        await doors.open(fileServerName);
        await engine.setPower(fileServerName, 'running', signal);
        return;
      case 'attach':
        return engine.attachShare(fileServerName, { ...placeOf(step), folder: '', path: step.path }, signal);
      case 'detach':
        return engine.detachShare(fileServerName, step.path, signal);
      case 'tell':
        return tell(said.word, said.digest, signal);
    }
  }

  async function pass(signal: AbortSignal): Promise<number> {
    if (!isReal) return settledDelay;
    const now = clock.now();
    const waits = failure !== undefined && now < failure.retryAt ? failure : undefined;
    const nextLook = Math.min(settledDelay, (waits?.retryAt ?? Infinity) - now);
    if (waits?.isOfShares === false) return nextLook;
    found = (await engine.list(signal)).find(({ name }) => name === fileServerName);
    if (found === undefined && neededSince === undefined) return settledDelay;
    if (found === undefined || found.power !== 'running') told = undefined;
    await doors.open(fileServerName);
    const shares = await readServedShares(world);
    unserved = unservedShares(ways, shares);
    const wordOf = async (served: readonly ServedShare[]) => {
      const word = await readFileServerWord(world, ways, served);
      return { word, digest: secrets.digest('file server', JSON.stringify(word)) };
    };
    const whole = await wordOf(shares);
    const planned = planFileServer(
      {
        wanted: neededSince !== undefined,
        poolsFirst: await arePoolsFirst(now),
        image: images.state(recipe),
        model: model(),
        found:
          found === undefined
            ? undefined
            : {
                made: found.made,
                power: found.power,
                model: found.labels['model-version'] ?? '',
                attachments: found.attachments,
              },
        shares,
        word: whole.digest,
        told,
      },
      now,
    );
    // A share that could not be attached waits for its next try; keys do not.
    const steps = planned.filter(({ step }) => waits === undefined || (step !== 'attach' && step !== 'detach'));
    const away = new Set(planned.flatMap((one) => (one.step === 'attach' ? [one.path] : [])));
    const failed: { step: FileServerStep; error: unknown }[] = [];
    for (const step of steps) {
      try {
        const said = away.size === 0 ? whole : await wordOf(shares.filter((one) => !away.has(servedPath(one))));
        if (step.step === 'tell' && isTold(told, said.digest, now)) continue;
        await carryOut(step, said, signal);
        if (step.step === 'attach') away.delete(step.path);
        if (step.step !== 'tell' || failure !== undefined) log.info({ ...step }, `the file server: ${step.step} done`);
      } catch (error) {
        if (signal.aborted || (error instanceof PoolhouseError && error.code === 'EngineUnavailable')) throw error;
        log.error({ err: error, ...step }, `the file server: ${step.step} failed: ${errorBodyOf(error).message}`);
        failed.push({ step, error });
        // One share is no other's business, nor the keys': what is left is done all the same.
        if (step.step !== 'attach' && step.step !== 'detach') break;
      }
    }
    const [first] = failed;
    if (first !== undefined) {
      const attempts = (failure?.attempts ?? 0) + 1;
      const retryAt = clock.now() + Math.min(longestRetry, firstRetry * 2 ** (attempts - 1));
      const isOfShares = failed.every(({ step: { step } }) => step === 'attach' || step === 'detach');
      failure = { message: errorBodyOf(first.error).message, attempts, retryAt, isOfShares };
      return Math.min(settledDelay, retryAt - clock.now());
    }
    if (waits === undefined) failure = undefined;
    if (steps.some(({ step }) => step === 'create' || step === 'remove' || step === 'start')) {
      world.changed();
      return 0;
    }
    return nextLook;
  }

  function reason(): string | undefined {
    const { failure: ofImage } = images.state(recipe);
    return failure?.message ?? ofImage?.message ?? (unserved.length === 0 ? undefined : unserved.join(' '));
  }

  return {
    pass,
    need() {
      if (neededSince !== undefined) return;
      neededSince = clock.now();
      world.changed();
    },
    fronts() {
      const { publicAddress, isOutside } = parts;
      if (!isReal) return [];
      const seen = world.live.isSeen() ? world.live.engineInstances() : found === undefined ? [] : [found];
      const instance = seen.find((one) => one.name === fileServerName && isService(one));
      const accepting = instance?.power === 'running';
      const to = { instance: fileServerName, address: serviceAddress(engine.network()), accepting };
      const { link } = instance ?? {};
      const closed: ServiceFront = { ...to, kind: 'closed', ...(link === undefined ? {} : { link }) };
      if (publicAddress === undefined) return [closed];
      return [
        closed,
        ...(ways.smb
          ? [
              {
                ...to,
                kind: 'carried' as const,
                id: 'fileserver/smb',
                publicAddress,
                publicPort: smbPort,
                port: smbPort,
              },
            ]
          : []),
        ...(ways.nfs.length > 0 && isOutside
          ? [
              {
                ...to,
                ...{ kind: 'forwarded' as const, publicAddress, publicPort: nfsPort, port: nfsPort },
                clients: [...new Set(ways.nfs.flatMap(({ clients }) => clients))].toSorted(),
              },
            ]
          : []),
      ];
    },
    async status() {
      if (!isReal || (found === undefined && neededSince === undefined)) return undefined;
      const shares = await readServedShares(world);
      const why = reason();
      const address = serviceAddress(engine.network());
      const { publicAddress, isOutside } = parts;
      return {
        state:
          found?.made !== true
            ? images.state(recipe).busy || images.state(recipe).ready
              ? 'being made'
              : 'not made'
            : found.power === 'running'
              ? 'running'
              : 'stopped',
        address,
        ...(why === undefined ? {} : { reason: why }),
        smb:
          ways.smb && publicAddress !== undefined
            ? shares.filter(isForSmb).map(({ account, share }) => ({ account, path: `//${publicAddress}/${share}` }))
            : [],
        nfs: ways.nfs.map(({ share, clients, readOnly }) => ({
          source: `${isOutside && publicAddress !== undefined ? publicAddress : address}:/${share}`,
          clients,
          readOnly,
        })),
      };
    },
    trouble() {
      const why = reason();
      return why === undefined ? undefined : `The file server is not as it should be: ${why}`;
    },
  };
}

const placeOf = ({ account, share }: ServedShare): ServedShare => ({ account, share });
