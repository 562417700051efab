/** What a backup says of itself: its first member tells what it is, its last one proves that it is whole. Pure. */
import { z } from 'zod';
import { PoolhouseError } from '../../core/errors.ts';
import { installationSchema } from '../../core/installation.ts';
import { packedShareSchema, type PackedShare } from '../../files/packed-shares.ts';

const formatVersion = 1;
const format = 'poolhouse-backup';

export const manifestName = 'manifest.json';
export const sumsName = 'checksums.json';
export const homePrefix = 'home/';
const sharesPrefix = 'shares/';

const manifestSchema = z.object({
  format: z.literal(format),
  formatVersion: z.literal(formatVersion),
  /** Its own: a restore that was cut off knows it again. */
  backup: z.uuid(),
  createdAt: z.iso.datetime(),
  /** What wrote it, such as `0.1.0+2c027fe`. */
  poolhouse: z.string(),
  installation: installationSchema.shape.id,
  engine: installationSchema.shape.engine,
  storeVersion: z.int().min(1),
  /** What opens the secrets in it, and is not in it itself: the name of the key, and where it was kept. */
  masterKey: z.object({ name: z.string(), kind: z.enum(['file', 'passphrase', 'credential']) }),
  /** Files that the configuration names and that lie elsewhere. */
  elsewhere: z.array(z.string()),
  /** Undefined: what shares hold is not in it. */
  shares: z.array(packedShareSchema).optional(),
});
export type Manifest = z.infer<typeof manifestSchema>;

export const newManifest = (said: Omit<Manifest, 'format' | 'formatVersion'>): Manifest => ({
  format,
  formatVersion,
  ...said,
});

/** `InvalidRequestContent` where it is no backup, or one of a newer program. */
export function readManifest(text: string, what: string): Manifest {
  const value = parse(text);
  const head = z.looseObject({ format: z.literal(format), formatVersion: z.int() }).safeParse(value);
  if (!head.success)
    throw new PoolhouseError('InvalidRequestContent', `${what} is no backup of Poolhouse: it does not begin as one.`);
  if (head.data.formatVersion > formatVersion)
    throw new PoolhouseError(
      'InvalidRequestContent',
      `${what} was written by a newer Poolhouse (its format is ${head.data.formatVersion}, this program knows ${formatVersion}). Restore it with that version.`,
    );
  const parsed = manifestSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new PoolhouseError('InvalidRequestContent', `${what} is damaged: ${manifestName} in it cannot be understood.`, {
    cause: parsed.error,
  });
}

const sumSchema = z.object({
  bytes: z.int().min(0),
  parts: z.int().min(1),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});
export type Sum = z.infer<typeof sumSchema>;
const sumsSchema = z.object({ members: z.record(z.string(), sumSchema) });

export function renderSums(sums: ReadonlyMap<string, Sum>): string {
  return `${JSON.stringify({ members: Object.fromEntries(sums) }, null, 2)}\n`;
}

/** What differs between what a backup says that it holds and what was found in it, in words; undefined where nothing does. */
export function findDifference(text: string, found: ReadonlyMap<string, Sum>): string | undefined {
  const parsed = sumsSchema.safeParse(parse(text));
  if (!parsed.success) return `${sumsName} in it cannot be understood`;
  const said = new Map(Object.entries(parsed.data.members));
  for (const [name, sum] of said) {
    const present = found.get(name);
    if (present === undefined) return `'${name}' is missing in it`;
    if (present.sha256 !== sum.sha256 || present.bytes !== sum.bytes || present.parts !== sum.parts)
      return `'${name}' in it was changed`;
  }
  const more = [...found.keys()].find((name) => !said.has(name));
  return more === undefined ? undefined : `'${more}' in it was added`;
}

/** What a share holds: its parts lie in this folder of the backup. */
export function packName({ account, share }: Pick<PackedShare, 'account' | 'share'>): string {
  return `${sharesPrefix}${account}/${share}`;
}

/** The name of a part, from 1 on; all parts of a share one after the other are a tar that zstd has made smaller. */
export function partName(pack: string, part: number): string {
  return `${pack}/${String(part).padStart(8, '0')}.tar.zst`;
}

/** What a member belongs to: itself, or the pack that it is a part of. */
export function whole(member: string): { name: string; part: number } {
  const found = /^(shares\/[^/]+\/[^/]+)\/(\d{8})\.tar\.zst$/.exec(member);
  return found?.[1] === undefined ? { name: member, part: 1 } : { name: found[1], part: Number(found[2]) };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
