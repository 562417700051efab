import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { fingerprintOf, loadRecipe, type Recipe } from './recipe.ts';

const ours = fileURLToPath(new URL('../../images/recipes', import.meta.url));

describe('recipes', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-recipes-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function write(path: string, content: string | object): Promise<void> {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, typeof content === 'string' ? content : JSON.stringify(content));
  }

  it('of ours can be read', async () => {
    const base = await loadRecipe('base', [ours]);
    const datascience = await loadRecipe('datascience', [ours]);
    expect(base.services).toEqual({ 22: 'ssh' });
    expect(datascience.services).toEqual({ 22: 'ssh', 8000: 'jupyterhub' });
    expect(datascience.packages).toEqual(expect.arrayContaining(base.packages));
  });

  it('of ours install every file there is, and all of a program that has several', async () => {
    for (const name of await readdir(ours)) {
      const recipe = await loadRecipe(name, [ours]);
      const folder = join(ours, name, 'files');
      const installed = new Set(recipe.files.map(({ content }) => content.toString('base64')));
      for (const entry of await readdir(folder, { recursive: true, withFileTypes: true }))
        if (entry.isFile()) {
          const file = join(entry.parentPath, entry.name);
          expect([file, installed.has(await readFile(file, 'base64'))]).toEqual([file, true]);
        }
    }
  });

  it('take what they extend, and add to it', async () => {
    await write('lower/recipe.json', {
      name: 'lower',
      suite: 'bookworm',
      packages: ['tmux', 'less'],
      files: [
        { path: '/etc/motd', content: 'lower' },
        { path: '/etc/issue', source: 'more/issue', mode: '0600' },
      ],
      commands: ['first'],
      enable: ['a.service'],
      services: { 22: 'ssh' },
    });
    await write('lower/files/more/issue', 'from a file');
    await write('upper/recipe.json', {
      name: 'upper',
      extends: 'lower',
      packages: ['git', 'tmux'],
      files: [{ path: '/etc/motd', content: 'upper', divert: '/etc/motd.distrib' }],
      commands: ['second'],
      enable: ['a.service', 'b.service'],
      mask: ['c.timer'],
      services: { 8000: 'jupyterhub' },
    });
    expect(await loadRecipe('upper', [folder])).toEqual({
      name: 'upper',
      suite: 'bookworm',
      packages: ['git', 'less', 'tmux'],
      files: [
        { path: '/etc/motd', content: Buffer.from('upper'), mode: 0o644, divert: '/etc/motd.distrib' },
        { path: '/etc/issue', content: Buffer.from('from a file'), mode: 0o600, divert: undefined },
      ],
      commands: ['first', 'second'],
      enable: ['a.service', 'b.service'],
      mask: ['c.timer'],
      services: { 22: 'ssh', 8000: 'jupyterhub' },
    } satisfies Recipe);
  });

  it(`of the operator's folder go before ours, and may extend ours`, async () => {
    await write('base/recipe.json', { name: 'base', packages: ['own-package'] });
    expect((await loadRecipe('base', [folder, ours])).packages).toEqual(['own-package']);
    expect((await loadRecipe('datascience', [folder, ours])).packages).toContain('own-package');
  });

  const wrong: [what: string, files: Record<string, string | object>, message: RegExp][] = [
    ['is nowhere', {}, /no folder 'a' with a recipe\.json in .*poolhouse-recipes-/],
    ['is not JSON', { 'a/recipe.json': '{"name": ' }, /recipe\.json is not JSON/],
    ['has an unknown key', { 'a/recipe.json': { name: 'a', package: [] } }, /package/],
    ['names a package oddly', { 'a/recipe.json': { name: 'a', packages: ['git --now'] } }, /packages\.0/],
    [
      'lacks a file',
      { 'a/recipe.json': { name: 'a', files: [{ path: '/x', source: 'gone' }] } },
      /files\/gone cannot be read/,
    ],
    [
      'has a file of nothing',
      { 'a/recipe.json': { name: 'a', files: [{ path: '/x' }] } },
      /either 'source' or 'content'/,
    ],
    [
      'has a file of two things',
      { 'a/recipe.json': { name: 'a', files: [{ path: '/x', source: 'x', content: '' }] } },
      /either 'source' or 'content'/,
    ],
    [
      'takes a file from elsewhere',
      { 'a/recipe.json': { name: 'a', files: [{ path: '/x', source: '../recipe.json' }] } },
      /files\.0\.source/,
    ],
    [
      'takes a file from elsewhere by a folder',
      { 'a/recipe.json': { name: 'a', files: [{ path: '/x', source: 'more/../../recipe.json' }] } },
      /files\.0\.source: expected a path without '\.\.'/,
    ],
    [
      'puts a file out of the image',
      { 'a/recipe.json': { name: 'a', files: [{ path: '/x/../../etc/passwd', content: '' }] } },
      /files\.0\.path: expected a path without '\.\.'/,
    ],
    ['extends what is elsewhere', { 'a/recipe.json': { name: 'a', extends: '../b' } }, /extends/],
    [
      'extends what is not there',
      { 'a/recipe.json': { name: 'a', extends: 'b' } },
      /'b' cannot be used: there is no folder/,
    ],
    ['extends itself', { 'a/recipe.json': { name: 'a', extends: 'a' } }, /extends itself: a → a/],
    [
      'extends itself in a round',
      { 'a/recipe.json': { name: 'a', extends: 'b' }, 'b/recipe.json': { name: 'b', extends: 'a' } },
      /extends itself: a → b → a/,
    ],
  ];
  it.each(wrong)('are refused when one %s', async (_what, files, message) => {
    for (const [path, content] of Object.entries(files)) await write(path, content);
    await expect(loadRecipe('a', [folder])).rejects.toMatchObject({
      code: 'ImageBuildFailed',
      message: expect.stringMatching(message) as string,
    });
  });

  it('that cannot be read are not passed over', async () => {
    await mkdir(join(folder, 'base', 'recipe.json'), { recursive: true }); // what root cannot read either
    await expect(loadRecipe('base', [folder, ours])).rejects.toThrow(
      `${join(folder, 'base/recipe.json')} cannot be read`,
    );
  });

  describe('and the fingerprint of their image', () => {
    const text = {
      name: 'a',
      packages: ['git', 'tmux'],
      files: [
        { path: '/etc/motd', source: 'motd' },
        { path: '/etc/issue', content: 'two' },
      ],
      commands: ['true'],
      enable: ['a.service'],
    };
    async function fingerprint(recipe: object, suite = 'bookworm', motd = 'one'): Promise<string> {
      await write('a/recipe.json', recipe);
      await write('a/files/motd', motd);
      await write('a/files/motd-2', motd);
      return fingerprintOf(await loadRecipe('a', [folder]), suite);
    }
    const withMotd = (over: object) => ({ ...text, files: [{ ...text.files[0], ...over }, text.files[1]] });

    it('stays while they stay, however they are written', async () => {
      const before = await fingerprint(text);
      expect(before).toMatch(/^[0-9a-f]{64}$/);
      expect(await fingerprint({ ...text, packages: ['tmux', 'git', 'git'] })).toBe(before);
      expect(await fingerprint(withMotd({ source: 'motd-2' }))).toBe(before);
      expect(await fingerprint(withMotd({ mode: '644' }))).toBe(before);
    });

    it.each([
      [`a file's content`, text, 'bookworm', 'another'],
      [`a file's mode`, withMotd({ mode: '0755' })],
      [`a file's name`, withMotd({ path: '/etc/motd.d/a' })],
      [`a file's diversion`, withMotd({ divert: '/etc/motd.distrib' })],
      ['text in the recipe', { ...text, files: [text.files[0], { path: '/etc/issue', content: 'three' }] }],
      ['one file more', { ...text, files: [...text.files, { path: '/etc/more', content: '' }] }],
      ['one file less', { ...text, files: [text.files[0]] }],
      ['a package', { ...text, packages: ['git'] }],
      ['a command', { ...text, commands: ['false'] }],
      ['a service', { ...text, enable: [] }],
      ['the suite', text, 'trixie'],
    ])('changes with %s', async (_what, recipe, suite = 'bookworm', motd = 'one') => {
      const before = await fingerprint(text);
      expect(await fingerprint(recipe, suite, motd)).not.toBe(before);
    });
  });
});
