/**
 * What looks at an instance's mounts mean: what is bad, since when, what is to be tried, and when trying does not help. Pure.
 *
 * One bad look is none: somebody may just mount something. One good look is enough.
 */
import type { EpochMillis } from '../core/time.ts';

/**
 * `attached`: the engine shows it there, on our word. `table`: the instance's own fstab wants it, from somewhere else.
 * `other`: a script or a person has mounted it from somewhere else; nobody else knows how.
 */
export type MountOrigin = 'attached' | 'table' | 'other';
export type MountState = 'well' | 'missing' | 'wrong' | 'hanging' | 'failing';

/** One mount as a look inside found it. */
export interface MountFound {
  path: string;
  origin: MountOrigin;
  state: MountState;
  /** In words for people, such as `the share team/notebooks` or `the nfs4 file system`. */
  what: string;
  /** What is wrong, in words; '' where nothing is. */
  message: string;
}

/** A mount that is not well. */
export interface MountTrouble extends MountFound {
  since: EpochMillis;
  /** Bad looks in a row. */
  looks: number;
  /** How often it was tried to mend it, when last, and why that failed. */
  tries: number;
  triedAt?: EpochMillis;
  failure?: string;
}

export type MountRepair =
  /** The engine attaches it again. */
  | { repair: 'attach'; path: string; uncover: boolean }
  /** The instance mounts it as its fstab says. */
  | { repair: 'mount'; path: string; uncover: boolean };

const countsAfter = 20_000;
/** Dead servers come back, and whoever has files open there loses nothing when they do. */
const hangsBefore = 60_000;
/** Between one try and the next; the last holds for all that follow. */
const pauses = [10_000, 20_000, 60_000, 120_000] as const;
const mostTries = 4;
const mostTime = 600_000;

/** What is not well, after a look. Whatever it does not tell of is well. */
export function judgeMounts(
  before: readonly MountTrouble[],
  found: readonly MountFound[],
  now: EpochMillis,
): MountTrouble[] {
  return found
    .filter(({ state }) => state !== 'well')
    .map((mount) => {
      const known = before.find(({ path }) => path === mount.path);
      return { tries: 0, ...known, ...mount, since: known?.since ?? now, looks: (known?.looks ?? 0) + 1 };
    });
}

/** It is no chance: nobody new is sent to an instance with such a mount. */
export function isBad({ looks, since }: MountTrouble, now: EpochMillis): boolean {
  return looks >= 2 || now - since >= countsAfter;
}

/** Mending it does not help: the instance counts as unhealthy. */
export function isBeyondRepair(trouble: MountTrouble, now: EpochMillis): boolean {
  return isBad(trouble, now) && (trouble.tries >= mostTries || now - trouble.since >= mostTime);
}

/** What is to be tried now. What only a script knows how to mount is left alone: taken away, nobody would miss it. */
export function planMountRepairs(troubles: readonly MountTrouble[], now: EpochMillis): MountRepair[] {
  return troubles.flatMap((trouble): MountRepair[] => {
    const { path, origin, state, tries, triedAt, since } = trouble;
    const pause = pauses[Math.min(tries, pauses.length) - 1] ?? 0;
    if (!isBad(trouble, now) || origin === 'other' || now - (triedAt ?? 0) < pause) return [];
    if (state === 'hanging' && now - since < hangsBefore) return [];
    const uncover = state !== 'missing';
    return [{ repair: origin === 'attached' ? 'attach' : 'mount', path, uncover }];
  });
}

/** After a try. One that the engine could not even begin is none. */
export function noteTry(trouble: MountTrouble, failure: string | undefined, now: EpochMillis): MountTrouble {
  const { failure: _before, ...rest } = trouble;
  return { ...rest, tries: trouble.tries + 1, triedAt: now, ...(failure === undefined ? {} : { failure }) };
}

/** What stands in status: what is wrong, and what becomes of it. Undefined where nothing counts. */
export function describeMounts(
  troubles: readonly MountTrouble[],
  { replaced }: { replaced: boolean },
  now: EpochMillis,
): string | undefined {
  const bad = troubles.filter((trouble) => isBad(trouble, now));
  if (bad.length === 0) return undefined;
  const sentences = bad.map(describeTrouble);
  const beyond = bad.some((trouble) => isBeyondRepair(trouble, now));
  if (!beyond) return sentences.join('; ');
  return `${sentences.join('; ')}; mending does not help: ${
    replaced
      ? 'automatic repairs replace the instance after their grace period'
      : 'restart or reimage it (az vmss reimage), or give its scale set automatic repairs'
  }`;
}

export function describeTrouble({ what, path, state, message, failure }: MountTrouble): string {
  const words = {
    missing: 'is not mounted at',
    wrong: 'is hidden at',
    hanging: 'does not answer at',
    failing: 'fails at',
    well: 'is well at',
  }[state];
  const why = state === 'wrong' || state === 'failing' ? ` (${message})` : '';
  return `${what} ${words} ${path}${why}${failure === undefined ? '' : `; mounting it again failed: ${failure}`}`;
}
