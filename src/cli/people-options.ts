/** What the commands about users and groups have in common: their options, and how a list changes by them. */
import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { describeBytes, parseByteSize } from '../core/byte-size.ts';
import { parseSshKeys } from '../identity/ssh-keys.ts';
import { UsageError } from './usage-error.ts';

/** For options that may be given again and again. `--no-…` of the same name counts as nothing before. */
export const each = (value: string, before: readonly string[] | false | undefined): string[] => [
  ...(before === undefined || before === false ? [] : before),
  value,
];

export interface PoolOptions {
  /** False for `--no-pool`. */
  pool?: string[] | false;
  removePool?: string[];
  everyPool?: true;
}

/** A name as the end of a path. One that would lead elsewhere is a `UsageError`; all others are judged by control. */
export function segmentOf(what: 'user' | 'group', name: string): string {
  if (['', '.', '..'].includes(name)) throw new UsageError(`'${name}' is no name of a ${what}.`);
  return encodeURIComponent(name);
}

/** The options that say which pools somebody may enter. `change`: of somebody who is there already. */
export function withPoolOptions(command: Command, subject: 'user' | 'group', change: boolean): Command {
  const who = subject === 'user' ? 'they may enter' : 'its members may enter';
  command
    .option('--pool <pool>', `a pool that ${who}: NAME or GROUP/NAME of the scale set (repeatable)`, each)
    .option('--every-pool', `${who} every pool, also those to come`)
    .option(
      '--no-pool',
      subject === 'user' ? 'none of their own: only what their groups may enter' : 'it says nothing about pools',
    );
  if (change) command.option('--remove-pool <pool>', 'a pool that is taken away (repeatable)', each);
  return command;
}

/** The pools from now on; undefined where the options say nothing about them. */
export function poolsAfter(options: PoolOptions, before: readonly string[]): string[] | undefined {
  const { pool, removePool = [], everyPool } = options;
  const named = pool === false ? [] : (pool ?? []);
  if (everyPool === true && (pool !== undefined || removePool.length > 0))
    throw new UsageError('--every-pool leaves nothing to name: give it without --pool, --no-pool and --remove-pool.');
  if (everyPool === true) return ['*'];
  if (pool === undefined && removePool.length === 0) return undefined;
  if (before[0] === '*' && removePool.length > 0 && named.length === 0)
    throw new UsageError('Of every pool none can be taken away: name those that are left with --pool.');
  // Who had every pool and is given some has those.
  const kept = pool === false || before[0] === '*' ? [] : before;
  return without([...kept, ...named], removePool, samePool, 'pool');
}

/** A list with some more and some less; what is to go and is not there is a `UsageError`. */
export function listAfter(
  before: readonly string[],
  added: readonly string[] = [],
  removed: readonly string[] = [],
  what: string,
): string[] | undefined {
  if (added.length === 0 && removed.length === 0) return undefined;
  return without([...before, ...added], removed, (one, other) => one === other, what);
}

function without(
  list: readonly string[],
  removed: readonly string[],
  same: (one: string, other: string) => boolean,
  what: string,
): string[] {
  const missing = removed.find((one) => !list.some((other) => same(other, one)));
  if (missing !== undefined)
    throw new UsageError(
      `'${missing}' cannot be taken away: it is not there.${list.length === 0 ? ` There is no ${what}.` : ` There are: ${list.join(', ')}.`}`,
    );
  return [...new Set(list.filter((other) => !removed.some((one) => same(other, one))))];
}

/** `GROUP/NAME` is meant by its name alone, too. */
const samePool = (pool: string, asked: string) =>
  pool === asked.toLowerCase() || (!asked.includes('/') && pool.endsWith(`/${asked.toLowerCase()}`));

/** The option about quotas. `usual`: there is one for everybody. */
export function withQuotaOption(command: Command, whose: string, usual: boolean): Command {
  return command.option(
    '--quota <size>',
    `what ${whose} may hold on each share, such as 10GiB; 'none': as much as the share has${usual ? `; 'default': what its storage account says` : ''}`,
  );
}

const smallestQuota = 2 ** 20;

/** The quota as the API takes it; undefined where the option is not given. */
export function quotaAfter(text: string | undefined, usual: boolean): number | 'none' | null | undefined {
  if (text === undefined || text === 'none') return text;
  if (usual && text === 'default') return null;
  const bytes = parseByteSize(text);
  if (bytes === undefined)
    throw new UsageError(`--quota: '${text}' is no size such as 10GiB, and not 'none'${usual ? ` or 'default'` : ''}.`);
  // As of a number without its unit: an empty folder takes more than a few bytes.
  if (bytes < smallestQuota)
    throw new UsageError(`--quota: '${text}' is ${describeBytes(bytes)}, with which nothing can be written. Name the unit, such as 10GiB.`); // prettier-ignore
  return bytes;
}

/** The public keys that files and URLs name: lines of files, and URLs as they are, which control fetches. */
export async function readKeys(places: readonly string[]): Promise<string[]> {
  const keys: string[] = [];
  for (const place of places) {
    if (/^https?:\/\//i.test(place)) {
      if (!URL.canParse(place)) throw new UsageError(`'${place}' is not a URL.`);
      keys.push(place);
      continue;
    }
    const text = await readFile(place, 'utf8').catch((error: unknown) => {
      throw new UsageError(
        `The public key '${place}' cannot be read: ${(error as NodeJS.ErrnoException).code ?? 'unknown reason'}.`,
      );
    });
    const found = parseSshKeys(text).map((key) => key.line);
    if (found.length === 0) throw new UsageError(`There is no public key in '${place}'.`);
    keys.push(...found);
  }
  return keys;
}
