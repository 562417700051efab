/**
 * How what shares hold is handed from control to whoever keeps it: a plain tar as a stream. First the list, then what each share holds, in
 * their order, as a tar that is cut into parts, and at last how it ended: a stream that breaks off is never taken for a whole one.
 */
import { z } from 'zod';
import { errorBodyOf, httpStatusOf, PoolhouseError, type ErrorCode } from '../core/errors.ts';
import { isPlainName, readSmall, readTar, tarEnd, tarHeader, tarPadding } from './plain-tar.ts';

/** Of one part; what either side keeps in memory. */
const partBytes = 4 * 2 ** 20;
const mostListed = 64 * 2 ** 20;

export const packedShareSchema = z.object({
  account: z.string().regex(/^[a-z0-9]{3,24}$/),
  share: z.string().regex(/^[a-z0-9-]{3,63}$/),
  /** Those with rooms of their own, which are made before anything is unpacked. What they hold is in the share's tar. */
  folders: z.array(z.object({ folder: z.string().refine(isPlainName), quotaBytes: z.int().min(0).optional() })),
});
export type PackedShare = z.infer<typeof packedShareSchema>;

export interface PackPart {
  /** Which of the list. */
  share: number;
  /** From 1 on, without a gap. */
  part: number;
  bytes: Buffer;
}

const listSchema = z.array(packedShareSchema);
const endSchema = z.object({ error: z.object({ code: z.string(), message: z.string() }).optional() });
const listName = 'shares.json';
const endName = 'end.json';

/**
 * @param pack opens the tar of one share
 * @param onError told what is not for the reader's eyes
 */
export async function* encodePackedShares(
  list: readonly PackedShare[],
  pack: (share: PackedShare) => Promise<AsyncIterable<Buffer>>,
  onError: (error: unknown) => void,
): AsyncGenerator<Buffer> {
  yield member(listName, Buffer.from(JSON.stringify(list)));
  let end: z.infer<typeof endSchema> = {};
  try {
    for (const [index, share] of list.entries()) {
      let part = 0;
      for await (const bytes of inParts(await pack(share))) yield member(`${index}/${(part += 1)}`, bytes);
    }
  } catch (error) {
    onError(error);
    end = { error: errorBodyOf(error) };
  }
  yield member(endName, Buffer.from(JSON.stringify(end)));
  yield tarEnd;
}

const member = (name: string, bytes: Buffer) =>
  Buffer.concat([tarHeader({ name, size: bytes.length }), bytes, tarPadding(bytes.length)]);

async function* inParts(source: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let kept: Buffer[] = [];
  let size = 0;
  for await (const chunk of source) {
    for (let at = 0; at < chunk.length;) {
      const piece = chunk.subarray(at, at + partBytes - size);
      kept.push(piece);
      size += piece.length;
      at += piece.length;
      if (size < partBytes) continue;
      yield Buffer.concat(kept);
      kept = [];
      size = 0;
    }
  }
  if (size > 0) yield Buffer.concat(kept);
}

/** The list, as soon as it is there, and then the parts, which are read in their order, once. Both fail with what failed at the other end. */
export async function decodePackedShares(
  source: AsyncIterable<Buffer>,
): Promise<{ list: PackedShare[]; parts: AsyncGenerator<PackPart> }> {
  const members = readTar(source, 'what control sent');
  const first = await members.next();
  if (first.done === true || first.value.name !== listName) throw unreadable();
  const list = listSchema.safeParse(parse(await readSmall(first.value, mostListed)));
  if (!list.success) throw unreadable(list.error);

  async function* parts(): AsyncGenerator<PackPart> {
    for await (const found of members) {
      if (found.name === endName) {
        const end = endSchema.safeParse(parse(await readSmall(found, mostListed)));
        if (!end.success) throw unreadable(end.error);
        if (end.data.error !== undefined) throw errorOf(end.data.error);
        return;
      }
      const [share = -1, part = -1] = found.name.split('/').map(Number);
      yield { share, part, bytes: await readSmall(found, partBytes) };
    }
    throw unreadable();
  }
  return { list: list.data, parts: parts() };
}

function errorOf({ code, message }: { code: string; message: string }): PoolhouseError {
  return new PoolhouseError(Object.hasOwn(httpStatusOf, code) ? (code as ErrorCode) : 'InternalServerError', message);
}

function unreadable(cause?: unknown): PoolhouseError {
  return new PoolhouseError('InternalServerError', 'What control sent of the shares cannot be read.', { cause });
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}
