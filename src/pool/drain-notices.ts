/**
 * What a person is told about the machine they are on while it drains: when that begins, ten, five and one minute before
 * the end, and that it stays when it is wanted again; who is idle also hears how to keep it. Pure: what was told last comes in, and what is to be remembered goes out.
 */
import type { EpochMillis } from '../core/time.ts';
import type { InstanceState } from './instance-state.ts';

const minute = 60_000;
/** Minutes before the end. */
const stages = [1, 5, 10] as const;
const beginning = 100;
const ended = 0;

/** What one session was told last; undefined: nothing, or that its machine stays. */
export interface Told {
  /** Which draining it was told of: it may begin again. */
  since: EpochMillis;
  /** Minutes that were left; 0: it was ended. */
  stage: number;
}

export interface DrainNotice {
  /** A line for the person. */
  message?: string;
  /** Their session is to end, with this reason. */
  end?: string;
  told: Told | undefined;
}

/**
 * What is said now to one session on an instance; undefined: nothing.
 *
 * @param mayKeep its person is idle, and it drains because nobody works there: a lease ends that
 */
export function drainNotice(
  { draining, removal }: Pick<InstanceState, 'draining' | 'removal'>,
  told: Told | undefined,
  now: EpochMillis,
  mayKeep = false,
): DrainNotice | undefined {
  if (removal !== undefined) {
    if (told?.stage === ended) return undefined;
    return { end: `This machine is being removed. ${filesStay}`, told: { since: removal.since, stage: ended } };
  }
  if (draining === undefined)
    return told === undefined || told.stage === ended ? undefined : { message: 'This machine stays.', told: undefined };
  const { since, until } = draining;
  if (until === undefined) return undefined; // it waits for them, however long
  const before = told?.since === since ? told.stage : Number.POSITIVE_INFINITY;
  const stage = stageOf(until - now);
  if (stage >= before) return undefined;
  if (stage === ended)
    return {
      end: `The time of this machine is over. ${filesAreRescued} Sign in again for another one.`,
      told: { since, stage },
    };
  const begin = mayKeep ? 'You have done nothing on this machine for a while: it' : 'This machine';
  const keep = mayKeep ? ` To keep it, type 'poolhouse keep 2h' here, or 'ssh POOL keep 2h' on your own computer.` : '';
  return {
    message: `${begin} goes in ${inWords(until - now)}, and what runs on it ends. ${filesAreRescued}${keep}`,
    told: { since, stage },
  };
}

/** When there may be something else to say than now, of a draining that goes on. */
export function nextDrainNotice(until: EpochMillis, now: EpochMillis): EpochMillis | undefined {
  const times = [...stages, ended].map((stage) => until - stage * minute).filter((at) => at > now);
  return times.length === 0 ? undefined : Math.min(...times);
}

const filesStay = 'Your files on the share stay.';
const filesAreRescued = 'Your files on the share stay, and what you changed in your home is put there.';

function stageOf(left: number): number {
  if (left <= 0) return ended;
  return stages.find((stage) => left <= stage * minute) ?? beginning;
}

function inWords(milliseconds: number): string {
  const minutes = Math.ceil(milliseconds / minute);
  if (minutes < 120) return minutes === 1 ? 'a minute' : `${String(minutes)} minutes`;
  return `${String(Math.round(minutes / 60))} hours`;
}
