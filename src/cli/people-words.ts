import { describeBytes } from '../core/byte-size.ts';

/** Pools for people to read. Pure. */
export function poolsInWords(pools: readonly string[]): string {
  if (pools[0] === '*') return 'every pool';
  return pools.length === 0 ? '(none)' : pools.join(', ');
}

/** A quota for people to read. Pure. */
export function quotaInWords(quota: number | 'none' | null, usual: string): string {
  return quota === null ? usual : quota === 'none' ? 'none: as much as the share has' : describeBytes(quota);
}

/** The same in a table. Pure. */
export const shortQuota = (quota: number | 'none'): string => (quota === 'none' ? quota : describeBytes(quota));

/** Prints the document with `--json`, and the words otherwise. */
export function printAnswer(options: { json?: true }, document: object, words: () => string): void {
  process.stdout.write(options.json === true ? `${JSON.stringify(document, null, 2)}\n` : words());
}
