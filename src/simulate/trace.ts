/** A trace: who had sessions when. Read from lines of text, as a pool recorded them or as somebody has them from elsewhere. */
import { PoolhouseError } from '../core/errors.ts';
import type { EpochMillis } from '../core/time.ts';

/** One session of a person: from `start` to `end` they are connected, until `activeUntil` they work. */
export interface TraceSession {
  user: string;
  start: EpochMillis;
  end: EpochMillis;
  /** Between `start` and `end`. */
  activeUntil: EpochMillis;
}

const columns = ['user', 'start', 'end', 'activeUntil'] as const;
const mostColumns = columns.length;
/** The year 3000, in seconds: what is beyond it are milliseconds by mistake. */
const mostSeconds = 32_503_680_000;

/**
 * Lines `user,start,end[,activeUntil]`, or a JSON object with these members in each; a head line, empty lines and lines that
 * begin with `#` may be there. Times are ISO 8601 (UTC where no zone is named) or seconds since 1970. Sorted by their start.
 *
 * @param name what the text is called in errors
 * @throws PoolhouseError `InvalidParameter` with the number of the line that is wrong
 */
export function readTrace(text: string, name: string): TraceSession[] {
  const sessions: TraceSession[] = [];
  for (const [index, raw] of text
    .replace(/^\uFEFF/, '')
    .split(/\r?\n/)
    .entries()) {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) continue;
    const wrong = (message: string) =>
      new PoolhouseError('InvalidParameter', `${name}, line ${String(index + 1)}: ${message}`);
    const cells = line.startsWith('{') ? cellsOfObject(line, wrong) : cellsOfLine(line, wrong);
    if (sessions.length === 0 && cells.slice(0, 3).join().toLowerCase() === columns.slice(0, 3).join()) continue;
    sessions.push(sessionOf(cells, wrong));
  }
  if (sessions.length === 0) throw new PoolhouseError('InvalidParameter', `${name} holds no sessions.`);
  return sessions.sort((a, b) => a.start - b.start || a.end - b.end || (a.user < b.user ? -1 : 1));
}

type Wrong = (message: string) => PoolhouseError;

function cellsOfLine(line: string, wrong: Wrong): string[] {
  const cells = line.split(',').map((cell) => cell.trim().replace(/^"(.*)"$/, '$1'));
  if (cells.length < 3 || cells.length > mostColumns)
    throw wrong(`'user,start,end' or 'user,start,end,activeUntil' is expected, not ${cells.length} columns.`);
  return cells;
}

function cellsOfObject(line: string, wrong: Wrong): string[] {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw wrong('this is no JSON object.');
  }
  const members = value as Record<string, unknown>; // it begins with a brace
  const unknown = Object.keys(members).find((key) => !columns.some((column) => column === key));
  if (unknown !== undefined)
    throw wrong(`there is no '${unknown.slice(0, 40)}' in a session: ${columns.join(', ')} are known.`);
  return columns.map((column) => {
    const cell = members[column];
    if (cell === undefined || cell === null) return '';
    if (typeof cell !== 'string' && typeof cell !== 'number') throw wrong(`'${column}' must be a text or a number.`);
    return String(cell);
  });
}

function sessionOf([user = '', start = '', end = '', active = '']: readonly string[], wrong: Wrong): TraceSession {
  if (user === '') throw wrong('the user has no name.');
  const session = { user, start: timeOf('start', start, wrong), end: timeOf('end', end, wrong) };
  if (session.end <= session.start) throw wrong(`the end (${end}) is not after the start (${start}).`);
  const activeUntil = active === '' ? session.end : timeOf('activeUntil', active, wrong);
  if (activeUntil < session.start || activeUntil > session.end)
    throw wrong(`'activeUntil' (${active}) does not lie between start and end.`);
  return { ...session, activeUntil };
}

function timeOf(column: string, text: string, wrong: Wrong): EpochMillis {
  if (text === '') throw wrong(`'${column}' is missing.`);
  const isNumber = /^\d+(\.\d+)?$/.test(text);
  if (isNumber && Number(text) > mostSeconds) throw wrong(`'${column}' (${text}) is too large for seconds since 1970.`);
  if (isNumber) return Math.round(Number(text) * 1_000);
  const iso = /^\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?$/i.exec(text);
  const time = iso === null ? NaN : Date.parse(iso[3] === undefined ? `${text.replace(' ', 'T')}Z` : text);
  if (Number.isNaN(time))
    throw wrong(`'${column}' is no time: ISO 8601 such as 2026-01-05T09:00:00Z, or seconds since 1970, is expected.`);
  return time;
}

/** The trace as `readTrace` takes it, with seconds of time. */
export function writeTrace(sessions: readonly TraceSession[]): string {
  const time = (at: EpochMillis) => new Date(at).toISOString().replace('.000', '');
  const lines = sessions.map(({ user, start, end, activeUntil }) =>
    [user, time(start), time(end), ...(activeUntil === end ? [] : [time(activeUntil)])].join(),
  );
  return `${[columns.join(), ...lines].join('\n')}\n`;
}
