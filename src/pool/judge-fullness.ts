/** Whether a share or a workspace is so full that somebody has to be told. Pure: what was told before comes in. */
import type { EpochMillis } from '../core/time.ts';

export const fullnessThresholds = [80, 90, 95] as const;
export type FullnessThreshold = (typeof fullnessThresholds)[number];

/** What is remembered from one look to the next. */
export interface ToldOfFullness {
  /** The threshold that it is above; 0: none. */
  level: FullnessThreshold | 0;
  /** When each threshold was told last. */
  at: Partial<Record<FullnessThreshold, EpochMillis>>;
}

export interface Fullness {
  told: ToldOfFullness;
  /** Tell this now. */
  tell: FullnessThreshold | undefined;
}

export const nothingTold: ToldOfFullness = { level: 0, at: {} };
const day = 24 * 3_600_000;
/** So many points below a threshold it is over: what goes up and down around it is told once. */
const slack = 3;

/** Per cent, rounded down: only what is full is 100. 0 where there is no limit. */
export function percentUsed(usedBytes: number, quotaBytes: number): number {
  return quotaBytes <= 0 ? 0 : Math.floor((usedBytes / quotaBytes) * 100);
}

/** A threshold is told when it is passed, and not again within a day, however often it is. */
export function judgeFullness(
  { usedBytes, quotaBytes }: { usedBytes: number; quotaBytes: number },
  before: ToldOfFullness,
  now: EpochMillis,
): Fullness {
  const percent = percentUsed(usedBytes, quotaBytes);
  const reached = fullnessThresholds.findLast((threshold) => percent >= threshold) ?? 0;
  const held =
    fullnessThresholds.findLast((threshold) => threshold <= before.level && percent > threshold - slack) ?? 0;
  const level = reached > held ? reached : held;
  if (level === 0 || level <= before.level) return { told: { ...before, level }, tell: undefined };
  const last = before.at[level];
  // A clock that was put back makes nobody wait.
  if (last !== undefined && last <= now && now - last < day) return { told: { ...before, level }, tell: undefined };
  return { told: { level, at: { ...before.at, [level]: now } }, tell: level };
}

const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `9.3 GiB`, for people. */
export function bytesInWords(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1_024 && unit < units.length - 1) {
    value /= 1_024;
    unit += 1;
  }
  const shown = unit === 0 || value >= 100 ? Math.round(value).toString() : value.toFixed(1).replace(/\.0$/, '');
  return `${shown} ${units[unit] ?? ''}`;
}

/** `92 % full: 9.2 GiB of 10 GiB are used` */
export function fullnessInWords({ usedBytes, quotaBytes }: { usedBytes: number; quotaBytes: number }): string {
  return `${String(percentUsed(usedBytes, quotaBytes))} % full: ${bytesInWords(usedBytes)} of ${bytesInWords(quotaBytes)} are used`;
}
