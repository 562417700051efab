/** A backup as a file: what is written is read again, and whatever is not what was written is refused. */
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zstdCompressSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { collect } from '../../core/collect.ts';
import { readTar, tarEnd, tarHeader, tarPadding } from '../../files/plain-tar.ts';
import { createBackupFile, one } from './backup-file.ts';
import { manifestName, newManifest, packName, partName, sumsName, type Manifest } from './manifest.ts';
import { checkBackup } from './read-backup.ts';

const share = { account: 'team', share: 'shared', folders: [] };
const manifest = newManifest({
  backup: '6b7f2c1e-4a1d-4c39-8f5d-1f0f3a2b4c5d',
  createdAt: '2026-11-26T18:00:00.000Z',
  poolhouse: '0.1.0+2c027fe',
  ...{ installation: '0123abcd', engine: 'sim', storeVersion: 3 },
  masterKey: { name: 'abc', kind: 'file' },
  elsewhere: [],
  shares: [share],
});
const signal = new AbortController().signal;

describe('the file of a backup', () => {
  let folder: string;
  let file: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-backup-'));
    file = join(folder, 'one.tar');
  });
  afterEach(() => rm(folder, { recursive: true }));

  const usual: [string, Buffer][] = [
    [manifestName, Buffer.from(JSON.stringify(manifest))],
    ['home/installation.json', Buffer.from('{}')],
    ['home/recipes/own/files/a', Buffer.from('hello')],
    ['home/store.sqlite', Buffer.alloc(3_000, 's')],
    [partName(packName(share), 1), zstdCompressSync(Buffer.from('first '))],
    [partName(packName(share), 2), zstdCompressSync(Buffer.from('second'))],
  ];
  async function write(members = usual): Promise<void> {
    const backup = await createBackupFile(file, join(folder, 'home'));
    for (const [name, bytes] of members) await backup.add(name, bytes.length, one(bytes));
    await backup.finish();
  }
  const check = () => checkBackup(file, () => undefined, signal);
  const changed = (change: (said: Manifest) => object) => {
    const bytes = Buffer.from(JSON.stringify(change(manifest)));
    return usual.map(([name, content]): [string, Buffer] => [name, name === manifestName ? bytes : content]);
  };
  const refused = (message: RegExp) => ({
    code: 'InvalidRequestContent',
    message: expect.stringMatching(message) as string,
  });

  it('gives back what was put in', async () => {
    await write();
    expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect(await readdir(folder)).toEqual(['one.tar']);
    const backup = await check();
    expect(backup.manifest).toEqual(manifest);
    expect(backup.homeFiles).toEqual(['installation.json', 'recipes/own/files/a', 'store.sqlite']);
    const found: Record<string, string> = {};
    await backup.eachHomeFile(async (name, body) => {
      found[name] = Buffer.concat(await collect(body)).toString();
    }, signal);
    expect(found).toEqual({
      'installation.json': '{}',
      'recipes/own/files/a': 'hello',
      'store.sqlite': 's'.repeat(3_000),
    });
    for (let time = 0; time < 2; time += 1)
      expect(Buffer.concat(await collect(backup.openPack(packName(share), signal))).toString()).toBe('first second');
  });

  it('is refused where it was cut off, wherever that was', async () => {
    await write();
    const { size } = await stat(file);
    for (let length = size - 1; length > 0; length -= 499) {
      await truncate(file, length);
      await expect(check(), `${length} of ${size} bytes`).rejects.toMatchObject({ code: 'InvalidRequestContent' });
    }
  });

  it('is refused where a byte of it was changed', async () => {
    await write();
    const bytes = await readFile(file);
    for (let at = 0; at < bytes.length; at += 97) {
      const other = Buffer.from(bytes);
      other[at] = (other[at] ?? 0) ^ 1;
      await writeFile(file, other);
      const found = await check().then(
        () => 'read',
        (error: unknown) => (error as { code: string }).code,
      );
      // What fills up blocks means nothing to anybody.
      const isFilling = bytes[at] === 0;
      if (!isFilling || found !== 'read') expect(found, `byte ${at}`).toBe('InvalidRequestContent');
    }
  });

  it.each<[string, [string, Buffer][], RegExp]>([
    ['does not begin with its manifest', usual.slice(1), /does not begin/],
    ['is none', [[manifestName, Buffer.from('{"format":"other"}')]], /is no backup of Poolhouse/],
    [
      'is of a newer program',
      changed((said) => ({ ...said, formatVersion: 2, more: 1 })),
      /newer Poolhouse \(its format is 2/,
    ],
    ['says nonsense', changed((said) => ({ ...said, installation: '../../etc' })), /cannot be understood/],
    ['lacks the store', usual.filter(([name]) => name !== 'home/store.sqlite'), /'home\/store.sqlite' is missing/],
    ['lacks a share', usual.slice(0, 4), /'shares\/team\/shared' is missing/],
    ['lacks a part of a share', usual.filter((_, index) => index !== 4), /does not belong/],
    ['holds a master key', [...usual, ['home/secrets/key', Buffer.alloc(32)]], /'home\/secrets\/key' does not belong/],
    ['holds a private key', [...usual, ['home/certificates/ca.key', Buffer.alloc(3)]], /does not belong/],
    [
      'holds a share that it does not name',
      [...usual, [partName('shares/team/other', 1), Buffer.alloc(3)]],
      /does not belong/,
    ],
    ['holds a file twice', [...usual, ['home/installation.json', Buffer.from('{}')]], /was added/],
  ])('is refused where it %s', async (_what, members, message) => {
    await write(members);
    await expect(check()).rejects.toMatchObject(refused(message));
  });

  it('is refused where something was put behind its end, before its sums, or into them', async () => {
    await write();
    const bytes = await readFile(file);
    const more = Buffer.concat([tarHeader({ name: 'home/config.json', size: 2 }), Buffer.from('{}'), tarPadding(2)]);
    const members: { at: number; name: string }[] = [];
    let at = 0;
    for await (const { name, size } of readTar(one(bytes), 'it')) {
      members.push({ at, name });
      at += 512 + Math.ceil(size / 512) * 512;
    }
    const sumsAt = members.find(({ name }) => name === sumsName)?.at ?? 0;
    await writeFile(file, Buffer.concat([bytes.subarray(0, sumsAt), more, bytes.subarray(sumsAt)]));
    await expect(check()).rejects.toMatchObject(refused(/'home\/config.json' in it was added/));
    await writeFile(file, Buffer.concat([bytes.subarray(0, at), more, tarEnd]));
    await expect(check()).rejects.toMatchObject(refused(/was added/));
    const noSums = Buffer.concat([bytes.subarray(0, sumsAt), tarEnd]);
    await writeFile(file, noSums);
    await expect(check()).rejects.toMatchObject(refused(/it is not whole/));
  });

  it('leaves nothing where it is given up, and the older one where there was one', async () => {
    await writeFile(file, 'older');
    const backup = await createBackupFile(file, join(folder, 'home'));
    await backup.addText(manifestName, '{}');
    await backup.discard();
    expect(await readdir(folder)).toEqual(['one.tar']);
    expect(await readFile(file, 'utf8')).toBe('older');
  });

  it('begins anew where an attempt lost its power, and fails where two of one name are written', async () => {
    await writeFile(`${file}.partial`, 'half');
    const [first, second] = [await createBackupFile(file, '/nowhere'), await createBackupFile(file, '/nowhere')];
    await expect(first.finish()).rejects.toMatchObject({ code: 'Conflict' });
    await first.discard();
    await second.finish();
    expect(await readdir(folder)).toEqual(['one.tar']);
  });

  it('is no folder', async () => {
    await expect(checkBackup(folder, () => undefined, signal)).rejects.toMatchObject({ code: 'InvalidParameter' });
  });

  it('says that a file was changed while it was read', async () => {
    const backup = await createBackupFile(file, '/nowhere');
    for (const size of [1, 3])
      await expect(backup.add('home/config.json', size, one(Buffer.from('{}')))).rejects.toMatchObject({
        code: 'Unavailable',
      });
    await backup.discard();
  });

  it('does not lie in the home, in the place of something else, or nowhere', async () => {
    await mkdir(join(folder, 'home'));
    await expect(createBackupFile(join(folder, 'home', 'b'), join(folder, 'home'))).rejects.toMatchObject({
      code: 'InvalidParameter',
    });
    await expect(createBackupFile(join(folder, 'home'), '/nowhere')).rejects.toMatchObject({
      code: 'InvalidParameter',
    });
    await expect(createBackupFile(join(folder, 'no', 'b'), '/nowhere')).rejects.toMatchObject({ code: 'HostNotReady' });
    await chmod(folder, 0o700);
  });
});
