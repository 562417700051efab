/** One executor for each step of the file server's plan. They make no choices; each can be repeated. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { PoolhouseError } from '../core/errors.ts';
import { serviceAddress } from '../pool/addresses.ts';
import type { FileServerStep, ServedShare } from '../pool/plan-file-server.ts';
import type { FileServerWord } from './file-server-word.ts';
import type { ImageKeeper } from './image-keeper.ts';
import type { InstanceDoors } from './instance-doors.ts';
import { fileServerName, serviceLabel } from './service-instances.ts';
import type { World } from './world.ts';

export const fileServerRecipe = 'fileserver';
const cpus = 2;
const memoryBytes = 512 * 2 ** 20;

const saidSchema = z.object({ smb: z.string(), nfs: z.string() });

export interface FileServerSteps {
  /** What it is made of; counts once its image is ready. */
  model(): string;
  /** `word`: what it is told where the step is to tell. */
  carryOut(step: FileServerStep, word: FileServerWord, signal: AbortSignal): Promise<void>;
}

export function fileServerSteps(parts: {
  world: Pick<World, 'engine'>;
  images: ImageKeeper;
  doors: InstanceDoors;
}): FileServerSteps {
  const { images, doors } = parts;
  const { engine } = parts.world;

  const model = () =>
    createHash('sha256')
      .update(JSON.stringify([images.reference(fileServerRecipe).fingerprint, cpus, memoryBytes]))
      .digest('hex')
      .slice(0, 16);

  async function create(signal: AbortSignal): Promise<void> {
    await engine.create(
      {
        name: fileServerName,
        hostname: fileServerName,
        image: images.reference(fileServerRecipe),
        cpus,
        memoryBytes,
        address: serviceAddress(engine.network()),
        labels: { [serviceLabel]: fileServerName, 'model-version': model() },
        controlFolder: await doors.open(fileServerName),
        service: true,
      },
      signal,
    );
  }

  async function tell(word: FileServerWord, signal: AbortSignal): Promise<void> {
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
  }

  return {
    model,
    async carryOut(step, word, signal) {
      switch (step.step) {
        case 'prepareImage':
          images.prepare(fileServerRecipe);
          return;
        case 'remove':
          return engine.delete(fileServerName, signal);
        case 'create':
          return create(signal);
        case 'start':
          await doors.open(fileServerName);
          return engine.setPower(fileServerName, 'running', signal);
        case 'attach':
          return engine.attachShare(fileServerName, { ...placeOf(step), folder: '', path: step.path }, signal);
        case 'detach':
          return engine.detachShare(fileServerName, step.path, signal);
        case 'tell':
          return tell(word, signal);
      }
    },
  };
}

const placeOf = ({ account, share }: ServedShare): ServedShare => ({ account, share });
