/** Asks inside an instance how its mounts are, and has one mended. What an instance says is parsed, and believed of itself only. */
import { z } from 'zod';
import { errorBodyOf, PoolhouseError } from '../core/errors.ts';
import type { Attachment, EngineInstance } from '../engines/engine.ts';
import type { MountFound, MountRepair } from '../pool/judge-mounts.ts';
import type { World } from './world.ts';

const program = '/usr/lib/poolhouse/check-mounts';
const answerWithin = 5;
const lookLimit = 20_000;
const mendLimit = 45_000;
/** Of a shell where there is no such program: an image of before. */
const noProgram = [126, 127];

const text = (most: number) => z.string().transform((value) => value.replace(/[\p{Cc}\p{Cf}]+/gu, ' ').slice(0, most));
const answerSchema = z.object({
  mounts: z
    .array(
      z.object({
        path: z.string().min(1).max(4096),
        origin: z.enum(['attached', 'table', 'other']),
        type: text(40),
        state: z.enum(['well', 'missing', 'wrong', 'hanging', 'failing']),
        message: text(300),
      }),
    )
    .max(64),
});
const mendedSchema = z.object({ done: z.boolean(), message: text(300) });

/** What came of it; why it failed is in words for people. */
export type Mended = 'mended' | 'not tried' | { failure: string };

export interface LookOptions {
  /** Shares are not shown whole there, but people's folders: what its fstab mounts of ours is not to be seen as a mount. */
  isolated: boolean;
}

export interface AskMounts {
  /** Every mount that is looked after; none where the instance's image has no program for it. */
  look: (instance: EngineInstance, options: LookOptions, signal: AbortSignal) => Promise<MountFound[]>;
  /** `not tried` where the engine is away, or the share is not to be there any more. */
  mend: (instance: EngineInstance, repair: MountRepair, signal: AbortSignal) => Promise<Mended>;
}

export function createAskMounts({ engine }: Pick<World, 'engine'>): AskMounts {
  async function ask(name: string, question: object, timeoutMs: number, signal: AbortSignal): Promise<unknown> {
    const { exitCode, stdout, stderr } = await engine.exec(
      name,
      [program],
      { stdin: JSON.stringify(question), timeoutMs, keepBytes: 512 * 1024 },
      signal,
    );
    if (noProgram.includes(exitCode)) return undefined;
    if (exitCode !== 0)
      throw new PoolhouseError(
        'Unavailable',
        `The mounts of '${name}' cannot be looked at: ${program} ended with ${exitCode}.`,
        {
          retryable: true,
          cause: new Error(stderr),
        },
      );
    return JSON.parse(stdout);
  }

  async function mendInside(name: string, path: string, how: 'mount' | 'remount' | 'uncover', signal: AbortSignal) {
    const said = await ask(name, { repair: { path, how } }, mendLimit, signal);
    const { done, message } = mendedSchema.parse(said ?? { done: false, message: `its image has no ${program}` });
    if (!done)
      throw new PoolhouseError('OperationNotAllowed', message === '' ? 'the instance does not say why' : message);
  }

  return {
    async look({ name, attachments }, { isolated }, signal) {
      const question = { expected: attachments.map(({ path }) => path), seconds: answerWithin };
      const said = await ask(name, question, lookLimit, signal);
      if (said === undefined) return [];
      const isElsewhere = ({ origin, type }: { origin: string; type: string }) =>
        !(isolated && origin === 'table' && /^(cifs|smb3)$/.test(type));
      return answerSchema
        .parse(said)
        .mounts.filter(isElsewhere)
        .map(({ path, origin, type, state, message }) => {
          const attached = attachments.find((one) => one.path === path);
          return {
            // What is attached is for us to say.
            ...{
              path,
              state,
              message,
              origin: attached !== undefined ? 'attached' : origin === 'table' ? 'table' : 'other',
            },
            what: attached === undefined ? `the ${type} file system` : nameOf(attached),
          };
        });
    },

    async mend({ name }, { repair, path, uncover }, signal) {
      try {
        if (repair === 'mount') {
          await mendInside(name, path, uncover ? 'remount' : 'mount', signal);
          return 'mended';
        }
        // Asked anew: what was given up since the look is not to come back.
        const attached = (await engine.list(signal))
          .find((instance) => instance.name === name)
          ?.attachments.find((one) => one.path === path);
        if (attached === undefined) return 'not tried';
        if (uncover) await mendInside(name, path, 'uncover', signal);
        await engine.attachShare(name, attached, signal);
        return 'mended';
      } catch (error) {
        if (signal.aborted || (error instanceof PoolhouseError && error.code === 'EngineUnavailable'))
          return 'not tried';
        return { failure: errorBodyOf(error).message };
      }
    },
  };
}

function nameOf({ account, share, folder }: Attachment): string {
  return folder === '' ? `the share ${account}/${share}` : `the folder ${folder} of the share ${account}/${share}`;
}
