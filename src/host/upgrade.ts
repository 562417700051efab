/**
 * After an upgrade the processes still run the build that was there before: `up` of another one begins them anew. A
 * program's version is what makes it another one, beyond its arguments (which tell the folder that it lies in).
 */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { ProgramFiles } from '../core/program-files.ts';

/** The folders that the gateway consists of (`scripts/layers.ts` lets it import no others). */
const gatewayFolders = ['gateway', 'link', 'monitor', 'pool', 'identity', 'core'];

/** The library that it carries a copy of. */
const vendored = 'vendor/ssh2/lib';

/** What it takes from others, Node included. */
const manifestSchema = z.object({
  dependencies: z.record(z.string(), z.string()),
  optionalDependencies: z.record(z.string(), z.string()),
});

/** One word for a value. Pure. */
export function digestOf(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32);
}

/**
 * The gateway's version: what it consists of. Its end is the end of everybody's connections, and most upgrades do not
 * touch it: then it goes on.
 */
export async function gatewayVersion(files: Pick<ProgramFiles, 'root' | 'code'>): Promise<string> {
  const parts: string[] = [];
  for (const folder of gatewayFolders) {
    const names = await readdir(join(files.code, folder), { recursive: true });
    for (const name of names.toSorted()) {
      if (!/\.[jt]s$/.test(name) || /\.test\.ts$/.test(name)) continue;
      parts.push(`${folder}/${name}`, await readFile(join(files.code, folder, name), 'utf8'));
    }
  }
  for (const name of (await readdir(join(files.root, vendored), { recursive: true })).toSorted())
    if (name.endsWith('.js')) parts.push(name, await readFile(join(files.root, vendored, name), 'utf8'));
  const manifest = manifestSchema.parse(JSON.parse(await readFile(join(files.root, 'package.json'), 'utf8')));
  return digestOf([parts, manifest]);
}
