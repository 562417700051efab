/** The copy of ssh2 in `vendor/` is the library from npm with the patches beside it, in their order, and nothing else. */
import { execFileSync } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';

const root = join(import.meta.dirname, '..', '..');
const vendor = join(root, 'vendor/ssh2');
const npm = join(root, 'node_modules/ssh2');

async function scripts(folder: string): Promise<Map<string, string>> {
  const names = (await readdir(folder, { recursive: true })).filter((name) => name.endsWith('.js')).toSorted();
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), 'utf8')] as const)),
  );
}

it('the patches make the vendored library of the one from npm', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'poolhouse-vendor-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  await cp(join(npm, 'lib'), join(folder, 'lib'), { recursive: true });
  const patches = (await readdir(join(vendor, 'patches'))).toSorted();
  expect(patches.length).toBeGreaterThan(0);
  for (const patch of patches) {
    const argv = ['-p1', '--fuzz=0', '--silent', '-i', join(vendor, 'patches', patch)];
    execFileSync('patch', argv, { cwd: folder, stdio: 'pipe' });
  }
  const [made, carried] = [await scripts(join(folder, 'lib')), await scripts(join(vendor, 'lib'))];
  expect([...carried.keys()]).toEqual([...made.keys()]);
  for (const [name, text] of made) expect(carried.get(name) === text, `${name} is as the patches make it`).toBe(true);
});

it('the copy finds the native addon of the package from npm, where that was built', () => {
  const load = createRequire(import.meta.url);
  const hasAddon = (folder: string) =>
    (load(join(folder, 'lib/protocol/crypto.js')) as { bindingAvailable: boolean }).bindingAvailable;
  expect(hasAddon(vendor)).toBe(hasAddon(npm));
});

it('the copy says which version it is of, and carries its licence', async () => {
  const version = async (folder: string) =>
    (JSON.parse(await readFile(join(folder, 'package.json'), 'utf8')) as { version: string }).version;
  expect(await version(vendor)).toBe(await version(npm));
  expect(await readFile(join(vendor, 'LICENSE'), 'utf8')).toBe(await readFile(join(npm, 'LICENSE'), 'utf8'));
});

it('each patch is told in the README', async () => {
  const readme = await readFile(join(vendor, 'README.md'), 'utf8');
  for (const patch of await readdir(join(vendor, 'patches'))) expect(readme).toContain(patch.replace('.patch', ''));
});
