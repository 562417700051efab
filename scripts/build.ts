/** Makes `dist/`, what a package carries instead of `src/`: JavaScript of the programs, and which commit it is. */
import { execFileSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildFile, readCommit } from '../src/host/build.ts';

const root = join(import.meta.dirname, '..');
const folder = join(root, 'dist');
rmSync(folder, { recursive: true, force: true });
execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
});
writeFileSync(join(folder, buildFile), `${JSON.stringify(readCommit(root))}\n`);
