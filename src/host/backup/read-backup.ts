/** Reads a backup from end to end before anything is done with it: it is whole, unchanged, and holds nothing but what belongs in one. */
import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { promisify } from 'node:util';
import { zstdDecompress } from 'node:zlib';
import { PoolhouseError } from '../../core/errors.ts';
import { readSmall, readTar, type ReadMember } from '../../files/plain-tar.ts';
import { mayGoIn } from './home-files.ts';
import {
  findDifference,
  homePrefix,
  manifestName,
  packName,
  readManifest,
  sumsName,
  whole,
  type Manifest,
} from './manifest.ts';

const decompress = promisify(zstdDecompress);
/** Of what is read whole. */
const mostText = 256 * 2 ** 20;
/** Of a part, before it was made smaller: more than is ever written. */
const mostPart = 64 * 2 ** 20;
const readAhead = 2 ** 20;

export interface CheckedBackup {
  manifest: Manifest;
  /** Members that lie in the home, by their name there. */
  homeFiles: readonly string[];
  /** Copies each file of the home out, in the order in which they lie. `take` reads the body. */
  eachHomeFile(take: (name: string, body: AsyncIterable<Buffer>) => Promise<void>, signal: AbortSignal): Promise<void>;
  /** The tar that was packed; may be read again. */
  openPack(name: string, signal: AbortSignal): AsyncGenerator<Buffer>;
}

/**
 * `InvalidRequestContent` where it is no backup, not whole, changed since it was written, or of a newer program.
 * @param progress told of the bytes that were read, of so many
 */
export async function checkBackup(
  file: string,
  progress: (read: number, of: number) => void,
  signal: AbortSignal,
): Promise<CheckedBackup> {
  const size = await sizeOf(file);
  const sums = new Map<string, { hash: Hash; bytes: number; parts: number }>();
  const packAt = new Map<string, number>();
  const seen = new Set<string>();
  let manifest: Manifest | undefined;
  let sumsText: string | undefined;
  let at = 0;
  for await (const member of readTar(chunksOf(file, 0, signal), file)) {
    const { name } = member;
    const start = at;
    at += 512 + Math.ceil(member.size / 512) * 512;
    if (sumsText !== undefined || seen.has(name)) throw unfit(file, `'${name}' in it was added`);
    seen.add(name);
    if (name === sumsName) {
      sumsText = (await readSmall(member, mostText)).toString('utf8');
      continue;
    }
    const of = whole(name);
    const sum = sums.get(of.name) ?? { hash: createHash('sha256'), bytes: 0, parts: 0 };
    sums.set(of.name, sum);
    if (manifest === undefined) {
      if (name !== manifestName) throw unfit(file, 'it does not begin as one of Poolhouse');
      const text = await readSmall(member, mostText);
      manifest = readManifest(text.toString('utf8'), file);
      sum.hash.update(text);
    } else {
      refuseStranger(manifest, name, of, sum.parts, file);
      if (of.name !== name && !packAt.has(of.name)) packAt.set(of.name, start);
      for await (const chunk of member.body) sum.hash.update(chunk);
    }
    sum.bytes += member.size;
    sum.parts += 1;
    progress(at, size);
  }
  if (manifest === undefined || sumsText === undefined) throw unfit(file, 'it is not whole');
  const found = new Map(
    [...sums].map(([name, { hash, bytes, parts }]) => [name, { bytes, parts, sha256: hash.digest('hex') }] as const),
  );
  const difference = findDifference(sumsText, found) ?? missing(manifest, found);
  if (difference !== undefined) throw unfit(file, difference);
  const homeFiles = [...found.keys()].flatMap((name) =>
    name.startsWith(homePrefix) ? [name.slice(homePrefix.length)] : [],
  );
  return {
    manifest,
    homeFiles,
    async eachHomeFile(take, takeSignal) {
      for await (const member of readTar(chunksOf(file, 0, takeSignal), file)) {
        if (member.name.startsWith(homePrefix)) await take(member.name.slice(homePrefix.length), checked(member));
        else if (packAt.has(whole(member.name).name)) break; // the home comes before all packs
      }
    },
    async *openPack(name, packSignal) {
      const from = packAt.get(name);
      if (from === undefined) throw unfit(file, `'${name}' is missing in it`);
      for await (const part of readTar(chunksOf(file, from, packSignal), file)) {
        if (whole(part.name).name !== name) break;
        yield await decompress(await readSmall(part, mostPart), { maxOutputLength: mostPart });
      }
    },
  };

  /** The file lies where others may write: what is laid out is what was checked. */
  async function* checked(member: ReadMember): AsyncGenerator<Buffer> {
    const hash = createHash('sha256');
    for await (const chunk of member.body) {
      hash.update(chunk);
      yield chunk;
    }
    if (hash.digest('hex') !== found.get(member.name)?.sha256) throw unfit(file, 'it was changed while it was read');
  }
}

const packsOf = ({ shares = [] }: Manifest) => shares.map(packName);

function refuseStranger(
  manifest: Manifest,
  name: string,
  of: { name: string; part: number },
  partsBefore: number,
  file: string,
): void {
  const isOfHome = name.startsWith(homePrefix) && mayGoIn(name.slice(homePrefix.length));
  const isNextPart = of.name !== name && packsOf(manifest).includes(of.name) && of.part === partsBefore + 1;
  if (!isOfHome && !isNextPart) throw unfit(file, `'${name}' does not belong in it, or not there`);
}

function missing(manifest: Manifest, found: ReadonlyMap<string, unknown>): string | undefined {
  const wanted = [`${homePrefix}installation.json`, `${homePrefix}store.sqlite`, ...packsOf(manifest)];
  const lost = wanted.find((name) => !found.has(name));
  return lost === undefined ? undefined : `'${lost}' is missing in it`;
}

async function sizeOf(file: string): Promise<number> {
  try {
    const handle = await open(file, 'r');
    const found = await handle.stat().finally(() => handle.close());
    if (!found.isFile()) throw new Error('it is no file');
    return found.size;
  } catch (error) {
    throw new PoolhouseError('InvalidParameter', `${file} cannot be read: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

function chunksOf(file: string, start: number, signal: AbortSignal): AsyncIterable<Buffer> {
  return createReadStream(file, { start, highWaterMark: readAhead, signal });
}

function unfit(file: string, why: string): PoolhouseError {
  return new PoolhouseError(
    'InvalidRequestContent',
    `${file} is no backup that can be restored: ${why}. Nothing was touched. Take another copy of it, or an older backup.`,
  );
}
