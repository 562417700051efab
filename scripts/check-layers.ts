/** Fails, with a line for each, when an import points up the house. */
import { readFile } from 'node:fs/promises';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { findBreaches } from './layers.ts';

const root = join(import.meta.dirname, '..');
const paths = globSync('src/**/*.ts', { cwd: root });
const files = await Promise.all(paths.map(async (path) => ({ path, text: await readFile(join(root, path), 'utf8') })));
const breaches = findBreaches(files);
for (const breach of breaches) console.error(breach);
if (breaches.length > 0) process.exitCode = 1;
else console.log(`Layers: ${files.length} files, no import points up.`);
