/** Reads the tables of docs/metrics.md and what a process serves, and knows what Prometheus expects of names. Pure. */

export interface Described {
  name: string;
  type: string;
  /** Sorted. */
  labels: string[];
  help: string;
}

/** The rows of every table whose first column is a metric. */
export function readMetricTables(markdown: string): Described[] {
  return markdown.split('\n').flatMap((line) => {
    const [, name = '', type = '', labels = '', help = ''] = line.split('|').map((cell) => cell.trim());
    const named = /^`([a-z0-9_]+)`$/.exec(name)?.[1];
    if (named === undefined || !['counter', 'gauge', 'histogram'].includes(type)) return [];
    return [{ name: named, type, labels: labels === '' ? [] : labels.split(/, */).toSorted(), help }];
  });
}

/** Name and type of what an answer of `/metrics` has. */
export function readExposition(text: string): Map<string, string> {
  return new Map([...text.matchAll(/^# TYPE (\S+) (\S+)$/gm)].map(([, name = '', type = '']) => [name, type]));
}

/** One sample; undefined where the answer has none of these labels. */
export function sampleOf(
  text: string,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const found = text.split('\n').filter((line) => {
    const [, series = '', pairs = ''] = /^([a-z0-9_]+)(?:\{(.*)\})? /.exec(line) ?? [];
    return (
      series === name &&
      Object.entries(labels).every(([label, value]) => `,${pairs},`.includes(`,${label}="${value}",`))
    );
  });
  return found.length === 0 ? undefined : found.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

const notBaseUnits =
  /_(ms|milliseconds|microseconds|minutes|hours|days|kb|mb|gb|kilobytes|megabytes|gigabytes|percent)(_|$)/;
/** What a label would be named that tells of people, or has as many values as there are clients. */
const unbounded = /^(user|person|name|client|address|ip|port|path|url|id|message|session|instance)$/;

/** What is wrong with a metric by https://prometheus.io/docs/practices/naming/, and by our own rule about labels. */
export function unconventional({ name, type, labels, help }: Described): string[] {
  const complaints: string[] = [];
  const complain = (is: boolean, what: string) => {
    if (is) complaints.push(`${name}: ${what}`);
  };
  complain(!/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(name), 'a name is snake_case');
  complain(!/^(poolhouse|process|nodejs)_/.test(name), 'begins with none of our prefixes');
  complain(type === 'counter' && !name.endsWith('_total'), 'a counter ends in _total');
  complain(type !== 'counter' && name.endsWith('_total'), 'only a counter ends in _total');
  complain(type === 'histogram' && !/_(seconds|bytes)$/.test(name), 'a histogram is of _seconds or _bytes');
  complain(notBaseUnits.test(name), 'is not in a base unit: seconds, bytes, or a ratio');
  complain(/_(bucket|sum|count)$/.test(name), 'ends as a part of a histogram does');
  complain(help.trim() === '', 'has no help text');
  for (const label of labels) {
    complain(!/^[a-z][a-z0-9_]*$/.test(label), `the label '${label}' is not snake_case`);
    complain(unbounded.test(label), `the label '${label}' would have too many values, or tell of people`);
  }
  return complaints;
}
