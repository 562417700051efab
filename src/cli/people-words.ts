/** Pools for people to read. Pure. */
export function poolsInWords(pools: readonly string[]): string {
  if (pools[0] === '*') return 'every pool';
  return pools.length === 0 ? '(none)' : pools.join(', ');
}

/** Prints the document with `--json`, and the words otherwise. */
export function printAnswer(options: { json?: true }, document: object, words: () => string): void {
  process.stdout.write(options.json === true ? `${JSON.stringify(document, null, 2)}\n` : words());
}
