/** Log lines (JSON, as pino writes them) in plain words. Pure. */
import { dig, isObject, textOf, type JsonObject } from '../core/json.ts';
import type { LogLevel } from '../core/log-levels.ts';
import { plainText } from './plain-text.ts';

const levels: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'fatal',
};
const hidden = new Set(['level', 'time', 'pid', 'hostname', 'process', 'msg', 'err', 'reqId']);

/** A line as an object; undefined where it is something else. */
function parse(line: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Whether a line is at least as grave. One that says no level (what Node says when a process ends badly) is shown
 * whatever is asked for: it is rare, and it matters.
 */
export function isAtLeast(line: string, least: LogLevel): boolean {
  const level = parse(line)?.['level'];
  return typeof level !== 'number' || level >= numberOf(least);
}

function numberOf(level: LogLevel): number {
  return Number(Object.keys(levels).find((number) => levels[Number(number)] === level));
}

/** Lines of several logs in the order of their times. One that does not say its time stays behind the one before it. */
export function mergeLogs(logs: readonly (readonly string[])[]): string[] {
  return logs
    .flatMap((lines) => {
      let last = 0;
      return lines.map((line) => {
        const time = parse(line)?.['time'];
        if (typeof time === 'number') last = time;
        return { line, time: last };
      });
    })
    .toSorted((a, b) => a.time - b.time)
    .map(({ line }) => line);
}

/** A line as a document: what is not JSON (what Node says when it ends badly) becomes a message. */
export function logDocument(line: string): object {
  return parse(line) ?? { msg: line };
}

export function describeLogLine(line: string): string {
  const entry = parse(line);
  if (entry === undefined) return plainText(line);
  const { time, level } = entry;
  const date = new Date(typeof time === 'number' ? time : Number.NaN);
  const fields = Object.entries(entry)
    .filter(([name]) => !hidden.has(name))
    .map(([name, value]) => `${name}=${textOf(value)}`);
  const error = textOf(dig(entry, 'err', 'message'));
  const words = [
    Number.isNaN(date.getTime()) ? '' : date.toISOString().slice(0, 23).replace('T', ' '),
    (levels[typeof level === 'number' ? level : 30] ?? 'info').padEnd(5),
    textOf(entry['process']).padEnd(7),
    `${textOf(entry['msg'])}${error === '' ? '' : ` | ${error}`}`,
    fields.join(' '),
  ]
    .filter((part) => part !== '')
    .join(' ');
  return plainText(words.trimEnd());
}
