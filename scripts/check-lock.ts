/** Fails when package-lock.json names where a package was downloaded from: everybody has a registry of their own. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

const text = await readFile(join(import.meta.dirname, '..', 'package-lock.json'), 'utf8');
const lock = JSON.parse(text) as {
  packages: Record<string, { resolved?: string; integrity?: string; link?: boolean }>;
};
const wrong = Object.entries(lock.packages).filter(
  ([path, entry]) => path !== '' && (entry.resolved !== undefined || entry.integrity === undefined),
);
for (const [path] of wrong) console.error(`package-lock.json: '${path}' has a download address, or no integrity`);
if (wrong.length > 0) process.exitCode = 1;
else console.log(`Lock: ${Object.keys(lock.packages).length - 1} packages, each by its hash.`);
