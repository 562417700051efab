import { createHash } from 'node:crypto';
import type { Json } from '../../core/json.ts';
import type { LanguageFunction } from '../evaluate.ts';
import { ExpressionError } from '../template-error.ts';
import { all, array, bounded, joined, longestArray, parsed, printed, text, whole, wrong } from './arguments.ts';
import { uniqueString } from './unique-string.ts';

const lower = (value: string) => value.toLowerCase();
const utf8 = (bytes: Buffer) => bytes.toString('utf8');

/** `format('{0} {1:N0}')`: the values by their places; of formats N, D and X are known. Part by part. */
function* formatted(pattern: string, values: readonly Json[]): Generator<string> {
  let copied = 0;
  for (const found of pattern.matchAll(/\{\{|\}\}|\{(\d{1,3})(?:,-?\d{1,4})?(?::([^}]*))?\}/g)) {
    yield pattern.slice(copied, found.index);
    yield place(found, values);
    copied = found.index + found[0].length;
  }
  yield pattern.slice(copied);
}

/** What stands for one place of a format. */
function place([found, index, style = '']: RegExpExecArray, values: readonly Json[]): string {
  if (found === '{{' || found === '}}') return found.slice(1);
  const value = values[Number(index)];
  if (value === undefined) throw new ExpressionError(`The template function 'format' has no value for '${found}'`);
  const grouped = /^[Nn](\d{1,2})?$/.exec(style);
  if (grouped !== null && typeof value === 'number') {
    const places = Math.min(20, Number(grouped[1] ?? 2));
    return value.toLocaleString('en-US', { minimumFractionDigits: places, maximumFractionDigits: places });
  }
  const digits = /^[DdXx](\d{1,2})?$/.exec(style);
  if (digits !== null && typeof value === 'number') {
    const number = /^[Xx]/.test(style) ? value.toString(16) : String(value);
    const sized = number.padStart(Number(digits[1] ?? 0), '0');
    return style.startsWith('X') ? sized.toUpperCase() : sized;
  }
  return printed(value);
}

/** A name-based UUID (version 5) in the namespace that Azure documents for `guid()`. */
function guid(parts: readonly string[]): string {
  const namespace = Buffer.from('11fb06fb712d4ddd98c7e71bbd588830', 'hex');
  const hash = createHash('sha1').update(namespace).update(parts.join('-')).digest();
  hash[6] = ((hash[6] ?? 0) & 0x0f) | 0x50;
  hash[8] = ((hash[8] ?? 0) & 0x3f) | 0x80;
  const hex = hash.subarray(0, 16).toString('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}

const texts = (values: readonly Json[]): string[] => values.map(printed);

export const strings: Record<string, LanguageFunction> = {
  base64: (call) => bounded(call, Buffer.from(text(call, 0), 'utf8').toString('base64')),
  base64tostring: (call) => utf8(Buffer.from(text(call, 0), 'base64')),
  base64tojson: (call) => parsed(call, utf8(Buffer.from(text(call, 0), 'base64'))),
  datauri: (call) =>
    bounded(call, `data:text/plain;charset=utf8;base64,${Buffer.from(text(call, 0), 'utf8').toString('base64')}`),
  datauritostring: (call) => {
    const match = /^data:[^,]*?(;base64)?,(.*)$/is.exec(text(call, 0));
    if (match === null) throw wrong(call, 0, 'a data URI');
    if (match[1] !== undefined) return utf8(Buffer.from(match[2] ?? '', 'base64'));
    try {
      return decodeURIComponent(match[2] ?? '');
    } catch {
      throw wrong(call, 0, 'a data URI');
    }
  },
  endswith: (call) => lower(text(call, 0)).endsWith(lower(text(call, 1))),
  startswith: (call) => lower(text(call, 0)).startsWith(lower(text(call, 1))),
  format: (call) => joined(call, formatted(text(call, 0), all(call).slice(1))),
  guid: (call) => guid(Array.from({ length: call.count }, (_, index) => text(call, index))),
  padleft: (call) => {
    const value = call.arg(0);
    if (typeof value !== 'string' && typeof value !== 'number') throw wrong(call, 0, 'a string or an integer');
    const fill = call.count > 2 ? text(call, 2) : ' ';
    const width = whole(call, 1);
    if (fill.length !== 1 || width > 10_000) throw wrong(call, 1, 'at most 10000, filled with one character');
    return String(value).padStart(width, fill);
  },
  replace: (call) => {
    const [subject, old, by] = [text(call, 0), text(call, 1), text(call, 2)];
    return old === '' ? subject : joined(call, subject.split(old), by);
  },
  split: (call) => {
    const separators = call.arg(1);
    const list =
      typeof separators === 'string' ? [separators] : array(call, 1).map((one) => (typeof one === 'string' ? one : ''));
    let parts = [text(call, 0)];
    for (const separator of list) if (separator !== '') parts = parts.flatMap((part) => part.split(separator));
    return parts;
  },
  string: (call) =>
    bounded(
      call,
      typeof call.arg(0) === 'object' && call.arg(0) !== null ? JSON.stringify(call.arg(0)) : printed(call.arg(0)),
    ),
  substring: (call) => {
    const value = text(call, 0);
    const start = whole(call, 1);
    const length = call.count > 2 ? whole(call, 2) : value.length - start;
    if (start < 0 || length < 0 || start + length > value.length) {
      throw new ExpressionError(
        `Unable to evaluate template language function 'substring': the index and length must refer to a location within the string. The index '${start}' and length '${length}' do not fit a string of ${value.length}`,
      );
    }
    return value.substring(start, start + length);
  },
  tolower: (call) => text(call, 0).toLowerCase(),
  toupper: (call) => text(call, 0).toUpperCase(),
  trim: (call) => text(call, 0).trim(),
  uniquestring: (call) => uniqueString(Array.from({ length: call.count }, (_, index) => text(call, index))),
  uri: (call) => {
    const [base, relative] = [text(call, 0), text(call, 1)];
    if (!URL.canParse(relative, base)) throw wrong(call, 0, 'a URI');
    return new URL(relative, base).href;
  },
  uricomponent: (call) => bounded(call, encodeURIComponent(text(call, 0).toWellFormed())),
  uricomponenttostring: (call) => {
    try {
      return decodeURIComponent(text(call, 0));
    } catch {
      throw wrong(call, 0, 'an encoded URI component');
    }
  },
  concat: (call) => {
    const values = all(call);
    if (values.length > 0 && values.every((value) => Array.isArray(value))) {
      if (values.reduce((sum, value) => sum + value.length, 0) > longestArray)
        throw new ExpressionError(`An array of the template grows beyond ${longestArray} elements`);
      return values.flat(1);
    }
    if (values.some((value) => Array.isArray(value) || (typeof value === 'object' && value !== null))) {
      throw new ExpressionError(`The template function 'concat' takes strings, or arrays, not both`);
    }
    return joined(call, texts(values));
  },
};
