/** What `poolhouse simulate` is told, read from its options: where sessions come from, and what the pool is like. */
import type { GeneratedTrace } from '../simulate/generate-trace.ts';
import { UsageError } from './usage-error.ts';

/** Where the sessions come from. */
export type SessionSource =
  { from: 'recorded' } | ({ from: 'generated' } & GeneratedTrace) | { from: 'file'; file: string };

const generated: Readonly<Record<keyof GeneratedTrace, { usual: number; least: number; most: number }>> = {
  people: { usual: 200, least: 1, most: 5_000 },
  days: { usual: 1, least: 1, most: 31 },
  seed: { usual: 1, least: 0, most: 2 ** 32 - 1 },
};

/** `recorded`, `generated`, `generated:people=200,days=1,seed=1`, or a file. */
export function readSource(text: string): SessionSource {
  if (text === 'recorded') return { from: 'recorded' };
  const match = /^generated(?::(.*))?$/.exec(text);
  if (match === null) return { from: 'file', file: text };
  const given = new Map((match[1] ?? '').split(',').filter(Boolean).map(pairOf));
  for (const name of given.keys())
    if (!Object.hasOwn(generated, name))
      throw new UsageError(`A generated trace has no '${name}': ${Object.keys(generated).join(', ')} can be given.`);
  const numberOf = (name: keyof GeneratedTrace) => {
    const { usual, least, most } = generated[name];
    const value = given.get(name);
    return value === undefined ? usual : wholeNumber(`${name} of a generated trace`, value, least, most);
  };
  return { from: 'generated', people: numberOf('people'), days: numberOf('days'), seed: numberOf('seed') };
}

function pairOf(text: string): [string, string] {
  const [name = '', value = ''] = text.split('=', 2);
  return [name.trim(), value.trim()];
}

/** `2`, `2:stopped` or `2:frozen`. */
export function readStandby(text: string): { count: number; as: 'stopped' | 'frozen' } {
  const [count = '', as = 'stopped', ...more] = text.split(':');
  if ((as !== 'stopped' && as !== 'frozen') || more.length > 0)
    throw new UsageError(`--standby is a number, or a number with how they wait: 2, 2:stopped, 2:frozen.`);
  return { count: wholeNumber('--standby', count, 0, 1_000), as };
}

/** @throws UsageError */
export function wholeNumber(what: string, text: string, least: number, most: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN;
  if (!(value >= least && value <= most))
    throw new UsageError(`${what}: a whole number from ${least} to ${most} is expected, not '${text}'.`);
  return value;
}
