/** Reads bodies of users and groups. A member that is left out is undefined; one that is null is asked to be as at first. */
import { parseByteSize } from '../../core/byte-size.ts';
import { dig, isObject, type Json, type JsonObject } from '../../core/json.ts';
import type { Quota } from '../../identity/people.ts';
import { invalid, objectAt, optionalBoolean, optionalString } from '../read-body.ts';

export interface AskedUser {
  password?: string | null;
  /** Lines, or URLs where there are lines. */
  sshKeys?: readonly string[];
  groups?: readonly string[];
  pools?: readonly string[];
  disabled?: boolean;
  sudo?: boolean;
  /** Null: what is usual. */
  quota?: Quota | null;
}

export interface AskedGroup {
  members?: readonly string[];
  pools?: readonly string[];
  quota?: Quota | null;
}

const userMembers = ['password', 'sshKeys', 'groups', 'pools', 'disabled', 'sudo', 'quota'];
const groupMembers = ['members', 'pools', 'quota'];
/** What a GET shows beside: who sends back what they read has said nothing by it. */
const shownOnly = ['uid', 'gid', 'hasPassword', 'sshKeyFingerprints', 'createdAt', 'provisioningState'];
const most = 1_000;

/** Throws `InvalidParameter` with the name of what is wrong. */
export function readUser(body: JsonObject): AskedUser {
  const properties = propertiesOf(body, userMembers);
  const password = dig(properties, 'password') === null ? null : optionalString(properties, 'password');
  const disabled = flag(properties, 'disabled');
  const sudo = flag(properties, 'sudo');
  const sshKeys = texts(properties, 'sshKeys', []);
  const groups = texts(properties, 'groups', []);
  const pools = texts(properties, 'pools', ['*']);
  return {
    ...(password === undefined ? {} : { password }),
    ...(sshKeys === undefined ? {} : { sshKeys }),
    ...(groups === undefined ? {} : { groups }),
    ...(pools === undefined ? {} : { pools }),
    ...(disabled === undefined ? {} : { disabled }),
    ...(sudo === undefined ? {} : { sudo }),
    ...quotaOf(properties),
  };
}

/** Throws `InvalidParameter` with the name of what is wrong. */
export function readGroup(body: JsonObject): AskedGroup {
  const properties = propertiesOf(body, groupMembers);
  const members = texts(properties, 'members', []);
  const pools = texts(properties, 'pools', []);
  return {
    ...(members === undefined ? {} : { members }),
    ...(pools === undefined ? {} : { pools }),
    ...quotaOf(properties),
  };
}

/** The quota from now on. */
export function quotaAfter(asked: Quota | null | undefined, before: Quota | undefined): { quota?: Quota } {
  const quota = asked === undefined ? before : (asked ?? undefined);
  return quota === undefined ? {} : { quota };
}

function propertiesOf(body: JsonObject, known: readonly string[]): JsonObject {
  const properties = objectAt(body, 'properties');
  const taken = new Set([...known, ...shownOnly].map((name) => name.toLowerCase()));
  const unknown = Object.keys(properties).find((name) => !taken.has(name.toLowerCase()));
  if (unknown !== undefined)
    throw invalid(
      `properties.${unknown.slice(0, 80)}`,
      `'properties.${unknown.slice(0, 80)}' is not known here. Known are: ${known.join(', ')}.`,
    );
  return properties;
}

/** A number of bytes, a text such as `10GiB`, or `none`. */
function quotaOf(properties: JsonObject): { quota?: Quota | null } {
  const value = dig(properties, 'quota');
  if (value === undefined) return {};
  if (value === null || value === 'none') return { quota: value };
  const bytes = typeof value === 'number' || typeof value === 'string' ? parseByteSize(String(value)) : undefined;
  if (bytes === undefined)
    throw invalid(
      'properties.quota',
      `The value ${JSON.stringify(value).slice(0, 80)} of 'properties.quota' is not valid: a size such as '10GiB', 'none', or null for what is usual is expected.`,
    );
  return { quota: bytes };
}

function flag(properties: JsonObject, name: string): boolean | undefined {
  return dig(properties, name) === null ? false : optionalBoolean(properties, name);
}

function texts(properties: JsonObject, name: string, atFirst: readonly string[]): readonly string[] | undefined {
  const value: Json | undefined = dig(properties, name);
  if (value === undefined) return undefined;
  if (value === null) return atFirst;
  if (!Array.isArray(value) || isObject(value) || !value.every((one) => typeof one === 'string') || value.length > most)
    throw invalid(
      `properties.${name}`,
      `The value of 'properties.${name}' must be an array of at most ${most} strings.`,
    );
  return value;
}
