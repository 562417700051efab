import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { locateFiles, programFiles, programs } from './program-files.ts';

describe('the files of the program', () => {
  it.each([
    ['a clone', 'file:///srv/pool%20house/src/core/program-files.ts', 'src', '.ts'],
    ['a package', 'file:///usr/lib/node_modules/poolhouse/dist/core/program-files.js', 'dist', '.js'],
  ])('are found from %s', (_what, url, folder, ending) => {
    const root = decodeURIComponent(new URL(url).pathname).replace(/\/(src|dist)\/.*/, '');
    const files = locateFiles(url);
    expect(files).toMatchObject({ root, code: join(root, folder) });
    expect(files.program('control/main')).toBe(join(root, folder, `control/main${ending}`));
  });

  it('are there', () => {
    for (const path of ['package.json', 'images/catalogue.json', 'examples/shared-pool/template.json'])
      expect(existsSync(join(programFiles.root, path))).toBe(true);
    for (const name of programs) expect(existsSync(programFiles.program(name))).toBe(true);
  });

  it('are built from every program', () => {
    const { files } = JSON.parse(readFileSync(join(programFiles.root, 'tsconfig.build.json'), 'utf8')) as {
      files: string[];
    };
    expect(files.toSorted()).toEqual(programs.map((name) => `src/${name}.ts`).toSorted());
  });
});
