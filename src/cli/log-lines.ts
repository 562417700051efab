/** Log lines (JSON, as pino writes them) in plain words. Pure. */
const levels: Readonly<Record<number, string>> = {
  10: 'trace',
  20: 'debug',
  30: 'info',
  40: 'warn',
  50: 'error',
  60: 'fatal',
};
const hidden = new Set(['level', 'time', 'pid', 'hostname', 'process', 'msg', 'err', 'reqId']);

interface LogLine {
  level?: number;
  time?: number;
  process?: string;
  msg?: string;
  err?: { message?: string; cause?: { message?: string } };
  [field: string]: unknown;
}

function parse(line: string): LogLine | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return typeof value === 'object' && value !== null ? (value as LogLine) : undefined; // every field is looked at before it is used
  } catch {
    return undefined;
  }
}

/** When a line was written; 0 for one that does not say. */
export function timeOf(line: string): number {
  return parse(line)?.time ?? 0;
}

export function describeLogLine(line: string): string {
  const entry = parse(line);
  if (entry === undefined) return line;
  const time = typeof entry.time === 'number' ? new Date(entry.time).toISOString().slice(0, 23).replace('T', ' ') : '';
  const fields = Object.entries(entry)
    .filter(([name]) => !hidden.has(name))
    .map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  const error = entry.err?.message === undefined ? '' : ` | ${entry.err.message}`;
  return [
    time,
    (levels[entry.level ?? 30] ?? 'info').padEnd(5),
    (entry.process ?? '').padEnd(7),
    `${entry.msg ?? ''}${error}`,
    fields.join(' '),
  ]
    .filter((part) => part !== '')
    .join(' ');
}
