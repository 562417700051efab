/** Settings of a pool beyond Azure's: tags `poolhouse-…` on its scale set. `docs/operating.md` lists them. */
import { dig, type Json, type JsonObject } from '../../core/json.ts';
import type { StandbyPower } from '../../pool/instance-state.ts';
import type { PlacementPolicy } from '../../pool/placement.ts';
import { invalid } from '../read-body.ts';

export interface PoolTags {
  /** Where people go. */
  placement: PlacementPolicy;
  /** Who signs people in to notebooks: the gateway, or each machine's JupyterHub with the machine's own passwords. */
  signIn: 'gateway' | 'pam';
  /** Somebody who comes to a pool without a machine starts one. */
  mayWake: boolean;
  /** How long after the last session a pool that was woken is given back the capacity that its operator chose. */
  wokenMilliseconds: number;
  /** Who has done nothing for so long is idle; undefined: nobody ever is. */
  idleMilliseconds: number | undefined;
  /** What is rescued at most of one person's files, in bytes. */
  rescueBytes: number;
  /** For how long people may keep a machine at most; 0: not at all. */
  keepHours: number;
  /** How long a surplus instance waits for those who are on it. */
  drainMilliseconds: number;
  /** Prepared instances beside the capacity. */
  standby: { count: number; as: StandbyPower };
  /** How long a script of an extension may run. */
  scriptMilliseconds: number;
  /** What an instance is shown of a share: all of it, or only the workspaces of the people who are bound to it. */
  isolation: 'share' | 'user';
  /** What people have that outlives their instance: their notebooks, or their whole home. */
  survives: 'notebooks' | 'home';
}

const minute = 60_000;
/** Azure's limit for a custom script. */
const usualScriptMinutes = 90;
const usualDrainMinutes = 30;
const usualWokenMinutes = 30;
const usualIdleMinutes = 120;
const usualRescueMib = 1_024;
const mostRescueMib = 1_024 * 1_024;
const usualKeepHours = 24;
const mostKeepHours = 30 * 24;
const day = 24 * 60;

/** The settings in a scale set's document. `InvalidParameter` names the tag whose value is none. */
export function readPoolTags(document: JsonObject): PoolTags {
  return {
    placement: {
      prefer: choice(document, 'poolhouse-placement', ['fewest-users', 'most-users']),
      usersPerInstance: count(document, 'poolhouse-users-per-instance'),
      sessionsPerUser: count(document, 'poolhouse-sessions-per-user'),
    },
    signIn: choice(document, 'poolhouse-signin', ['gateway', 'pam']),
    mayWake: choice(document, 'poolhouse-wake', ['on', 'off']) === 'on',
    wokenMilliseconds: minutes(document, 'poolhouse-wake-minutes', usualWokenMinutes, 0),
    idleMilliseconds:
      dig(document, 'tags', 'poolhouse-idle-minutes') === 'off'
        ? undefined
        : minutes(document, 'poolhouse-idle-minutes', usualIdleMinutes, 1),
    rescueBytes: mebibytes(document, 'poolhouse-rescue-mib', usualRescueMib),
    keepHours: hours(document, 'poolhouse-keep-hours', usualKeepHours),
    drainMilliseconds: minutes(document, 'poolhouse-drain-minutes', usualDrainMinutes, 0),
    standby: {
      count: count(document, 'poolhouse-standby', 0) ?? 0,
      as: choice(document, 'poolhouse-standby-power', ['stopped', 'frozen']),
    },
    scriptMilliseconds: minutes(document, 'poolhouse-script-minutes', usualScriptMinutes, 0.05),
    isolation: choice(document, 'poolhouse-isolation', ['share', 'user']),
    survives: choice(document, 'poolhouse-survives', ['notebooks', 'home']),
  };
}

function minutes(document: JsonObject, name: string, usual: number, least: number): number {
  const value: Json | undefined = dig(document, 'tags', name);
  if (value === undefined || value === null) return usual * minute;
  const number = typeof value === 'string' && /^\d{1,4}(\.\d{1,3})?$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= least && number <= day))
    throw invalid(
      `tags.${name}`,
      `The value ${JSON.stringify(value)} of the tag '${name}' is not valid: minutes from ${least} to ${day} are expected, such as '${usual}'.`,
    );
  return number * minute;
}

function hours(document: JsonObject, name: string, usual: number): number {
  const value = dig(document, 'tags', name);
  if (value === undefined || value === null) return usual;
  const number = typeof value === 'string' && /^\d{1,3}$/.test(value) ? Number(value) : Number.NaN;
  if (!(number <= mostKeepHours))
    throw invalid(
      `tags.${name}`,
      `The value ${JSON.stringify(value)} of the tag '${name}' is not valid: whole hours from 0 to ${mostKeepHours} are expected, such as '${usual}'.`,
    );
  return number;
}

function mebibytes(document: JsonObject, name: string, usual: number): number {
  const value = dig(document, 'tags', name);
  if (value === undefined || value === null) return usual * 2 ** 20;
  const number = typeof value === 'string' && /^\d{1,7}$/.test(value) ? Number(value) : Number.NaN;
  if (!(number <= mostRescueMib))
    throw invalid(
      `tags.${name}`,
      `The value ${JSON.stringify(value)} of the tag '${name}' is not valid: whole MiB from 0 to ${mostRescueMib} are expected, such as '${usual}'.`,
    );
  return number * 2 ** 20;
}

/** One of these words; the first where nothing is said. */
function choice<Word extends string>(document: JsonObject, name: string, words: readonly [Word, ...Word[]]): Word {
  const value = dig(document, 'tags', name);
  if (value === undefined || value === null) return words[0];
  const word = words.find((one) => one === value);
  if (word === undefined)
    throw invalid(
      `tags.${name}`,
      `The value ${JSON.stringify(value)} of the tag '${name}' is not valid: expected is ${words.map((one) => `'${one}'`).join(' or ')}.`,
    );
  return word;
}

/** A whole number; undefined where nothing is said. */
function count(document: JsonObject, name: string, least = 1): number | undefined {
  const value = dig(document, 'tags', name);
  if (value === undefined || value === null) return undefined;
  const number = typeof value === 'string' && /^\d{1,5}$/.test(value) ? Number(value) : Number.NaN;
  if (!(number >= least))
    throw invalid(
      `tags.${name}`,
      `The value ${JSON.stringify(value)} of the tag '${name}' is not valid: a whole number from ${String(least)} to 99999 is expected.`,
    );
  return number;
}
