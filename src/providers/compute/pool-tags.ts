/** Settings of a pool beyond Azure's: tags `poolhouse-…` on its scale set. `docs/operating.md` lists them. */
import { dig, type Json, type JsonObject } from '../../core/json.ts';
import { invalid } from '../read-body.ts';

export interface PoolTags {
  /** How long a surplus instance waits for those who are on it. */
  drainMilliseconds: number;
  /** How long a script of an extension may run. */
  scriptMilliseconds: number;
}

const minute = 60_000;
/** Azure's limit for a custom script. */
const usualScriptMinutes = 90;
const usualDrainMinutes = 30;
const day = 24 * 60;

/** The settings in a scale set's document. `InvalidParameter` names the tag whose value is none. */
export function readPoolTags(document: JsonObject): PoolTags {
  return {
    drainMilliseconds: minutes(document, 'poolhouse-drain-minutes', usualDrainMinutes, 0),
    scriptMilliseconds: minutes(document, 'poolhouse-script-minutes', usualScriptMinutes, 0.05),
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
