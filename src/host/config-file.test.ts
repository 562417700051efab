import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { changeConfigFile, readConfigFile } from './config-file.ts';

const commented = `// of our team
{
  /* to look around */
  "engine": "sim",
  "publicAddresses": ["192.0.2.10",],
}
`;

describe('the file config.json', () => {
  let folder: string;
  let file: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-config-'));
    file = join(folder, 'config.json');
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('may be missing, or empty', async () => {
    expect((await readConfigFile(file)).config.engine).toBe('incus');
    await writeFile(file, ' \n');
    expect((await readConfigFile(file)).config.engine).toBe('incus');
  });

  it('may have comments and trailing commas', async () => {
    await writeFile(file, commented);
    expect((await readConfigFile(file)).config).toMatchObject({ engine: 'sim', publicAddresses: ['192.0.2.10'] });
  });

  it.each([
    ['is cut off', '{ "engine": ', /config\.json cannot be read: .*line '1'/],
    ['has an unknown key', '{ "engin": "sim" }', /did you mean 'engine'/],
    ['is a list', '[]', /is not valid/],
  ])('is refused when it %s', async (_what, text, message) => {
    await writeFile(file, text);
    await expect(readConfigFile(file)).rejects.toMatchObject({
      code: 'InvalidConfiguration',
      message: expect.stringMatching(message) as string,
    });
  });

  it('is not taken for missing where it cannot be read', async () => {
    await mkdir(file);
    await expect(readConfigFile(file)).rejects.toMatchObject({ code: 'HostNotReady' });
  });

  it('is left as it is where nothing changes', async () => {
    await writeFile(file, commented);
    await changeConfigFile(file, await readConfigFile(file), { engine: 'sim' });
    expect(await readFile(file, 'utf8')).toBe(commented);
  });

  it('keeps its other keys when one changes, and its comments in a copy', async () => {
    await writeFile(file, commented);
    await changeConfigFile(file, await readConfigFile(file), { publicAddresses: ['192.0.2.11'] });
    expect(JSON.parse(await readFile(file, 'utf8'))).toEqual({ engine: 'sim', publicAddresses: ['192.0.2.11'] });
    expect(await readFile(`${file}.before`, 'utf8')).toBe(commented);
    expect((await stat(file)).mode & 0o777).toBe(0o600);
  });

  it('is made where there was none', async () => {
    await changeConfigFile(file, await readConfigFile(file), { engine: 'sim' });
    expect((await readConfigFile(file)).config.engine).toBe('sim');
  });
});
