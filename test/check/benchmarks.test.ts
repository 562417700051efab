import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { documentFile, recorded, withTables } from '../bench/document.ts';

it('shows in docs/benchmarks.md what docs/benchmarks.json holds, and nothing else', async () => {
  const document = await readFile(documentFile, 'utf8');
  expect(await withTables(document, await recorded())).toBe(document);
});
