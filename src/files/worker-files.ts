/** Work on files, as questions to the file server's worker. */
import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { PoolhouseError, type ErrorCode } from '../core/errors.ts';
import type { Json } from '../core/json.ts';
import type { ShareFiles, SharePlace } from './share-files.ts';
import type { AskWorker, WorkerQuestion } from './worker-link.ts';

const entrySchema = z.object({
  name: z.string(),
  kind: z.enum(['file', 'folder']),
  size: z.number(),
  modifiedAt: z.number(),
  createdAt: z.number(),
  etag: z.string(),
  metadata: z.record(z.string(), z.string()),
});
const listingSchema = z.object({ entries: z.array(entrySchema), next: z.string().optional() });
const restoredSchema = z.object({ files: z.number(), removed: z.number() });
const unpackedSchema = z.object({ files: z.number() });
const nothingSchema = z.object({});

const codes = [
  'NotFound',
  'Conflict',
  'OperationNotAllowed',
  'QuotaExceeded',
  'InvalidParameter',
  'InvalidRequestContent',
  'Unavailable',
] as const satisfies readonly ErrorCode[];
const refusalSchema = z.object({ code: z.enum(codes), message: z.string().max(1_000), retryable: z.boolean() });

const largestAnswer = 32 * 2 ** 20;

export function workerFiles(ask: AskWorker): ShareFiles {
  /** The answer's body, where the worker did what was asked. */
  async function answered(place: SharePlace, question: WorkerQuestion, signal: AbortSignal): Promise<IncomingMessage> {
    const incoming = await ask(question, signal);
    if (incoming.statusCode === 200) return incoming;
    const refusal = refusalSchema.safeParse(await readJson(incoming).catch(() => undefined));
    if (!refusal.success)
      throw new PoolhouseError(
        'InternalServerError',
        `The file server could not work on ${inWords(place)}. 'poolhouse logs fileserver' has the details.`,
        { cause: refusal.error },
      );
    const { code, message, retryable } = refusal.data;
    throw new PoolhouseError(code, `${inWords(place)}: ${message}`, { retryable });
  }
  async function told<T>(schema: z.ZodType<T>, place: SharePlace, question: WorkerQuestion, signal: AbortSignal) {
    const incoming = await answered(place, question, signal);
    return schema.parse(
      await readJson(incoming).catch((error: unknown) => {
        if (signal.aborted) throw error;
        throw new PoolhouseError('Unavailable', 'The file server did not answer to its end. Try again in a moment.', {
          retryable: true,
          cause: error,
        });
      }),
    );
  }

  return {
    find: (place, signal) => told(entrySchema, place, { method: 'find', arguments: { place: asJson(place) } }, signal),
    list: async (place, { prefix, after, most }, signal) => {
      const options = { ...(prefix === undefined ? {} : { prefix }), ...(after === undefined ? {} : { after }), most };
      const question = { method: 'list', arguments: { place: asJson(place), ...options } };
      const { entries, next } = await told(listingSchema, place, question, signal);
      return { entries, ...(next === undefined ? {} : { next }) };
    },
    makeFolder: (place, metadata, signal) =>
      told(entrySchema, place, { method: 'makeFolder', arguments: { place: asJson(place), metadata } }, signal),
    removeFolder: async (place, signal) => {
      await told(nothingSchema, place, { method: 'removeFolder', arguments: { place: asJson(place) } }, signal);
    },
    createFile: (place, { size, metadata }, signal) =>
      told(entrySchema, place, { method: 'createFile', arguments: { place: asJson(place), size, metadata } }, signal),
    removeFile: async (place, signal) => {
      await told(nothingSchema, place, { method: 'removeFile', arguments: { place: asJson(place) } }, signal);
    },
    change: (place, change, signal) =>
      told(entrySchema, place, { method: 'change', arguments: { place: asJson(place), change: { ...change } } }, signal), // prettier-ignore
    rename: async (from, to, { replace }, signal) => {
      const question = { method: 'rename', arguments: { from: asJson(from), to: asJson(to), replace } };
      await told(nothingSchema, from, question, signal);
    },
    copy: (from, to, { metadata }, signal) => {
      const question = { method: 'copy', arguments: { from: asJson(from), to: asJson(to), metadata }, isLong: true };
      return told(entrySchema, to, question, signal);
    },
    read: (place, range, signal): Promise<Readable> =>
      answered(place, { method: 'read', arguments: { place: asJson(place), ...range } }, signal),
    write: (place, from, bytes, signal) => {
      const question = { method: 'write', arguments: { place: asJson(place), from }, body: bytes, isLong: true };
      return told(entrySchema, place, question, signal);
    },
    clear: (place, range, signal) =>
      told(entrySchema, place, { method: 'clear', arguments: { place: asJson(place), ...range } }, signal),
    restore: (place, signal) =>
      told(restoredSchema, place, { method: 'restore', arguments: { place: asJson(place) }, isLong: true }, signal),
    pack: (place, signal): Promise<Readable> =>
      answered(place, { method: 'pack', arguments: { place: asJson(place) }, isLong: true }, signal),
    unpack: (place, tar, signal) => {
      const question = { method: 'unpack', arguments: { place: asJson(place) }, body: tar, isLong: true };
      return told(unpackedSchema, place, question, signal);
    },
  };
}

function asJson({ account, share, snapshot, path }: SharePlace): { [name: string]: Json } {
  return { account, share, path: [...path], ...(snapshot === undefined ? {} : { snapshot }) };
}

function inWords({ account, share, snapshot, path }: SharePlace): string {
  const name = [account, share, ...path].join('/');
  return `'${name.slice(0, 200)}'${snapshot === undefined ? '' : ` in the snapshot '${snapshot}'`}`;
}

async function readJson(incoming: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of incoming as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > largestAnswer) throw new Error('the answer is too long');
    chunks.push(chunk);
  }
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}
