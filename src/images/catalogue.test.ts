import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadCatalogue, resolveImage, type Catalogue } from './catalogue.ts';
import { loadRecipe } from './recipe.ts';

const images = fileURLToPath(new URL('../../images', import.meta.url));
const ours = await loadCatalogue([join(images, 'catalogue.json')]);

function resolve(name: string, catalogue: Catalogue = ours): string {
  const [publisher = '', offer = '', sku = '', version = ''] = name.split(':');
  return resolveImage({ publisher, offer, sku, version }, catalogue);
}

const line = (over: Partial<Catalogue[number]>): Catalogue[number] => ({
  publisher: 'team',
  offer: '*',
  sku: '*',
  version: '*',
  recipe: 'own',
  ...over,
});

describe('our catalogue', () => {
  it.each([
    ['microsoft-ads:linux-data-science-vm-ubuntu:linuxdsvmubuntu:latest', 'datascience'],
    ['microsoft-ads:linux-data-science-vm:linuxdsvm:latest', 'datascience'],
    ['Microsoft-DSVM:Ubuntu-2204:2204-gen2:latest', 'datascience'],
    ['microsoft-dsvm:ubuntu-1804:1804:21.06.01', 'datascience'],
    ['microsoft-dsvm:linux-data-science-vm-ubuntu:linuxdsvmubuntubyol:latest', 'datascience'],
    ['Canonical:UbuntuServer:18.04-LTS:latest', 'base'],
    ['Canonical:0001-com-ubuntu-server-jammy:22_04-lts-gen2:latest', 'base'],
    ['Debian:debian-12:12-gen2:latest', 'base'],
    ['credativ:Debian:9:latest', 'base'],
  ])('makes %s of the recipe %s', (name, recipe) => {
    expect(resolve(name)).toBe(recipe);
  });

  it('names recipes that there are', async () => {
    for (const recipe of new Set(ours.map((one) => one.recipe)))
      expect(await loadRecipe(recipe, [join(images, 'recipes')])).toMatchObject({ name: recipe });
  });

  it.each([
    ['RedHat:RHEL:8:latest', /Known publishers: microsoft-ads, .*Canonical\. .*add a line for it to catalogue\.json/],
    ['microsoft-ads:linux:x:latest', /add a line for it/],
    ['MicrosoftWindowsServer:WindowsServer:2019-Datacenter:latest', /Windows instances are not supported yet/],
    ['microsoft-dsvm:dsvm-win-2019:winserver-2019:latest', /Windows instances are not supported yet/],
    ['microsoft-ads:standard-data-science-vm:standard-data-science-vm:latest', /Windows instances are not supported/],
    ['cloud:darwin-11:x:latest', /add a line for it/],
  ])('says what to do about %s', (name, message) => {
    expect(() => resolve(name)).toThrow(
      expect.objectContaining({
        code: 'PlatformImageNotFound',
        target: 'imageReference',
        message: expect.stringMatching(message) as string,
      }),
    );
    expect(() => resolve(name)).toThrow(`'${name}'`);
  });

  it('does not repeat names without end', () => {
    expect(() => resolve(`x:${'o'.repeat(100_000)}:s:v`)).toThrow(/^.{0,800}$/);
  });
});

describe('a line of a catalogue', () => {
  it.each([
    ['a whole name', { offer: 'linux' }, 'team:linux:s:v', true],
    ['a whole name in other letters', { offer: 'Linux' }, 'TEAM:lInUX:s:v', true],
    ['not what only begins alike', { offer: 'linux' }, 'team:linux-2:s:v', false],
    ['a beginning', { offer: 'linux*' }, 'team:linux-2:s:v', true],
    ['an end', { offer: '*-gen2' }, 'team:linux-gen2:s:v', true],
    ['not another end', { offer: '*-gen2' }, 'team:linux-gen2x:s:v', false],
    ['a middle', { offer: 'a*b*c' }, 'team:a-b-b-c:s:v', true],
    ['not a middle in another order', { offer: 'a*b*c' }, 'team:a-c-b:s:v', false],
    ['not one letter twice', { offer: 'a*a' }, 'team:a:s:v', false],
    ['signs as they are', { offer: 'a.c' }, 'team:abc:s:v', false],
    ['a sku', { sku: 's1' }, 'team:o:s1:v', true],
    ['not another sku', { sku: 's1' }, 'team:o:s2:v', false],
    ['a version', { version: '1.*' }, 'team:o:s:1.2', true],
    ['not another version', { version: '1.*' }, 'team:o:s:2.0', false],
    ['latest, whatever version it names', { version: '1.0' }, 'team:o:s:latest', true],
    ['Latest in capitals', { version: '1.0' }, 'team:o:s:Latest', true],
  ])('fits %s', (_what, over, name, fits) => {
    if (fits) expect(resolve(name, [line(over)])).toBe('own');
    else expect(() => resolve(name, [line(over)])).toThrow('is not available');
  });

  it('counts before those that follow', () => {
    const catalogue = [line({ offer: 'special', recipe: 'first' }), line({ recipe: 'second' })];
    expect(resolve('team:special:s:v', catalogue)).toBe('first');
    expect(resolve('team:other:s:v', catalogue)).toBe('second');
  });
});

describe('reading catalogues', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-catalogue-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  async function written(name: string, text: string): Promise<string> {
    await writeFile(join(folder, name), text);
    return join(folder, name);
  }

  it('takes them in their order, and passes over those that are not there', async () => {
    const own = await written('own.json', '[{"publisher": "Canonical", "recipe": "own"}]');
    const both = await loadCatalogue([join(folder, 'missing.json'), own, join(images, 'catalogue.json')]);
    expect(resolve('Canonical:UbuntuServer:18.04-LTS:latest', both)).toBe('own');
    expect(resolve('Debian:debian-12:12:latest', both)).toBe('base');
  });

  it('does not pass over one that cannot be read', async () => {
    const file = join(folder, 'folder.json');
    await mkdir(file); // what root cannot read either
    await expect(loadCatalogue([file])).rejects.toMatchObject({
      code: 'InvalidConfiguration',
      message: expect.stringContaining(`${file} cannot be read`) as string,
    });
  });

  it.each([
    ['is cut off', '[{"publisher": "a"', /is not JSON/],
    ['is no list', '{"publisher": "a", "recipe": "b"}', /is not valid.*array/],
    ['names no recipe', '[{"publisher": "a"}]', /is not valid: 0\.recipe/],
    ['has an unknown key', '[{"publisher": "a", "recipe": "b", "offers": "c"}]', /is not valid: 0 .*offers/],
    ['names a recipe elsewhere', '[{"publisher": "a", "recipe": "../b"}]', /is not valid: 0\.recipe/],
  ])('says that a catalogue %s', async (_what, text, message) => {
    const file = await written('own.json', text);
    await expect(loadCatalogue([file])).rejects.toMatchObject({
      code: 'InvalidConfiguration',
      message: expect.stringMatching(message) as string,
    });
    await expect(loadCatalogue([file])).rejects.toThrow(file);
  });
});
