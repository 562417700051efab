/**
 * Keeps the file server: a service instance of ours with every share attached, where work on what shares hold is done, and by which
 * others come to shares (SMB, NFS). It is no pool's: nobody is placed on it, and nothing but its address and its image is written down.
 *
 * A pass looks at the world, `pool/plan-file-server.ts` decides, `file-server-steps.ts` carries out.
 */
import { errorBodyOf, PoolhouseError } from '../core/errors.ts';
import type { EpochMillis } from '../core/time.ts';
import type { EngineInstance } from '../engines/engine.ts';
import { serviceAddress } from '../pool/addresses.ts';
import { isTold, planFileServer, servedPath, type FileServerStep, type ServedShare } from '../pool/plan-file-server.ts';
import type { ServiceFront } from '../pool/service-fronts.ts';
import { findResources } from '../store/resource-records.ts';
import { fileServerFronts, type Entrance } from './file-server-fronts.ts';
import { fileServerStatus, type FileServerStatus } from './file-server-status.ts';
import { fileServerRecipe, fileServerSteps } from './file-server-steps.ts';
import { readFileServerWord, readServedShares, unservedShares } from './file-server-word.ts';
import type { ImageKeeper } from './image-keeper.ts';
import type { InstanceDoors } from './instance-doors.ts';
import { fileServerName, isService } from './service-instances.ts';
import type { World } from './world.ts';

const settledDelay = 5_000;
const firstRetry = 1_000;
const longestRetry = 60_000;
/** Pools that are being made go first, but not for ever. */
const poolsFirstFor = 300_000;

export interface FileServerParts extends Entrance {
  world: World;
  images: ImageKeeper;
  doors: InstanceDoors;
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

export function createFileServer(parts: FileServerParts): FileServer {
  const { world, images, doors, ways } = parts;
  const { store, engine, clock, log, secrets } = world;
  const isSwitchedOn = ways.smb || ways.nfs.length > 0;
  const isReal = engine.capabilities().real;
  const executors = fileServerSteps(parts);
  let neededSince: EpochMillis | undefined = isSwitchedOn ? clock.now() : undefined;
  let told: { word: string; at: EpochMillis } | undefined;
  let failure: { message: string; attempts: number; retryAt: EpochMillis; isOfShares: boolean } | undefined;
  let found: EngineInstance | undefined;
  let unserved: readonly string[] = [];

  async function arePoolsFirst(now: EpochMillis): Promise<boolean> {
    if (now - (neededSince ?? now) >= poolsFirstFor) return false;
    const sets = await findResources(store.db, { type: 'Microsoft.Compute/virtualMachineScaleSets' });
    return sets.some(
      ({ provisioningState, deletingSince }) =>
        deletingSince === undefined && provisioningState !== 'Succeeded' && provisioningState !== 'Failed',
    );
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
        image: images.state(fileServerRecipe),
        model: executors.model(),
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
    const steps = planned.filter((step) => waits === undefined || !isOfOneShare(step));
    const away = new Set(planned.flatMap((one) => (one.step === 'attach' ? [one.path] : [])));
    const failed: { step: FileServerStep; error: unknown }[] = [];
    for (const step of steps) {
      try {
        const said = away.size === 0 ? whole : await wordOf(shares.filter((one) => !away.has(servedPath(one))));
        if (step.step === 'tell' && isTold(told, said.digest, now)) continue;
        if (beginsAnew(step)) told = undefined;
        await executors.carryOut(step, said.word, signal);
        if (step.step === 'tell') told = { word: said.digest, at: clock.now() };
        if (step.step === 'attach') away.delete(step.path);
        if (step.step !== 'tell' || failure !== undefined) log.info({ ...step }, `the file server: ${step.step} done`);
      } catch (error) {
        if (signal.aborted || (error instanceof PoolhouseError && error.code === 'EngineUnavailable')) throw error;
        log.error({ err: error, ...step }, `the file server: ${step.step} failed: ${errorBodyOf(error).message}`);
        failed.push({ step, error });
        // One share is no other's business, nor the keys': what is left is done all the same.
        if (!isOfOneShare(step)) break;
      }
    }
    const [first] = failed;
    if (first !== undefined)
      return retryAfter(
        first.error,
        failed.every(({ step }) => isOfOneShare(step)),
      );
    if (waits === undefined) failure = undefined;
    if (steps.some(beginsAnew)) {
      world.changed();
      return 0;
    }
    return nextLook;
  }

  /** How long until then. */
  function retryAfter(error: unknown, isOfShares: boolean): number {
    const attempts = (failure?.attempts ?? 0) + 1;
    const retryAt = clock.now() + Math.min(longestRetry, firstRetry * 2 ** (attempts - 1));
    failure = { message: errorBodyOf(error).message, attempts, retryAt, isOfShares };
    return Math.min(settledDelay, retryAt - clock.now());
  }

  function reason(): string | undefined {
    const { failure: ofImage } = images.state(fileServerRecipe);
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
      if (!isReal) return [];
      const seen = world.live.isSeen() ? world.live.engineInstances() : found === undefined ? [] : [found];
      const instance = seen.find((one) => one.name === fileServerName && isService(one));
      return fileServerFronts(parts, instance, serviceAddress(engine.network()));
    },
    async status() {
      if (!isReal || (found === undefined && neededSince === undefined)) return undefined;
      const shares = await readServedShares(world);
      const [image, address] = [images.state(fileServerRecipe), serviceAddress(engine.network())];
      return fileServerStatus(parts, { found, image, address, shares, reason: reason() });
    },
    trouble() {
      const why = reason();
      return why === undefined ? undefined : `The file server is not as it should be: ${why}`;
    },
  };
}

/** Afterwards it knows nothing of what it was told. */
const beginsAnew = ({ step }: FileServerStep) => step === 'remove' || step === 'create' || step === 'start';

const isOfOneShare = ({ step }: FileServerStep) => step === 'attach' || step === 'detach';
