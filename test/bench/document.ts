/** `docs/benchmarks.md` holds what was measured last; its tables are made from `docs/benchmarks.json`, never typed. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { z } from 'zod';
import { repository } from '../e2e/installation.ts';
import type { Result } from './benchmark.ts';

const resultSchema = z.object({
  name: z.string(),
  value: z.number(),
  unit: z.string(),
  goal: z.string(),
  met: z.boolean(),
  peers: z.record(z.string(), z.number()),
  machine: z.string(),
  measuredAt: z.string(),
});

const resultsFile = join(repository, 'docs/benchmarks.json');
export const documentFile = join(repository, 'docs/benchmarks.md');
const [begin, end] = ['<!-- measured: made by npm run bench -->', '<!-- end of what was measured -->'];

/** Takes new results in, in the place of older ones of the same names. */
export async function record(results: readonly Result[]): Promise<void> {
  const before = await recorded();
  const names = new Set(results.map(({ name }) => name));
  const all = [...before.filter(({ name }) => !names.has(name)), ...results];
  const sorted = all.toSorted((a, b) => a.name.localeCompare(b.name));
  await writeFile(resultsFile, await formatted(JSON.stringify(sorted), resultsFile));
  await writeFile(documentFile, await withTables(await readFile(documentFile, 'utf8'), sorted));
}

export async function recorded(): Promise<Result[]> {
  return z.array(resultSchema).parse(JSON.parse(await readFile(resultsFile, 'utf8').catch(() => '[]')));
}

/** The document with these results in it. */
export async function withTables(document: string, results: readonly Result[]): Promise<string> {
  const [before, rest] = document.split(begin);
  const after = rest?.split(end)[1];
  if (before === undefined || after === undefined) throw new Error(`the document has no place for results: ${begin}`);
  return formatted(`${before}${begin}\n\n${tables(results)}\n\n${end}${after}`, documentFile);
}

/** A table for each machine. */
function tables(results: readonly Result[]): string {
  const machines = [...new Set(results.map(({ machine }) => machine))];
  return machines
    .map((machine) => {
      const rows = results
        .filter((one) => one.machine === machine)
        .map(
          ({ name, value, unit, goal, met, peers, measuredAt }) =>
            `| \`${name}\` | ${value} ${unit} | ${goal}${met ? '' : ' (missed)'} | ${inWords(peers)} | ${measuredAt.slice(0, 10)} |`,
        );
      return `${machine}:\n\n| name | value | goal | beside it | measured |\n|---|---|---|---|---|\n${rows.join('\n')}`;
    })
    .join('\n\n');
}

const inWords = (peers: Readonly<Record<string, number>>) =>
  Object.entries(peers)
    .map(([name, value]) => `${name}: ${value}`)
    .join(', ');

async function formatted(text: string, file: string): Promise<string> {
  return format(text, { ...(await resolveConfig(file)), filepath: file });
}
