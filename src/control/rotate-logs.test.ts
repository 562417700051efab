import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { rotateLogs } from './rotate-logs.ts';

const limits = { bytes: 1_000, kept: 2 };

describe('rotateLogs', () => {
  let folder: string;
  const file = (name: string) => join(folder, name);
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-logs-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  it('turns over what is large, and nothing else', async () => {
    await writeFile(file('control.log'), 'a'.repeat(1_000));
    await writeFile(file('gateway.log'), 'b'.repeat(999));
    expect(await rotateLogs(folder, limits)).toEqual(['control.log']);
    expect((await readdir(folder)).toSorted()).toEqual(['control.log', 'control.log.1', 'gateway.log']);
    expect((await stat(file('control.log'))).size).toBe(0);
    expect(await rotateLogs(folder, limits)).toEqual([]);
  });

  it('keeps a few old ones, the newest first', async () => {
    for (const letter of ['a', 'b', 'c', 'd']) {
      await writeFile(file('control.log'), letter.repeat(1_500));
      await rotateLogs(folder, limits);
    }
    const [first, second] = await Promise.all([1, 2].map((age) => readFile(file(`control.log.${age}`), 'utf8')));
    expect([first?.[0], second?.[0]]).toEqual(['d', 'c']);
    expect(await readdir(folder)).toHaveLength(3);
  });

  it('does not lose its writer, who appends to what it has open', async () => {
    const log = await open(file('control.log'), 'a');
    const writer = spawn('cat', { stdio: ['pipe', log.fd, 'inherit'] });
    const { stdin } = writer;
    if (stdin === null) throw new Error('a pipe was asked for');
    stdin.write('x'.repeat(1_500));
    while ((await stat(file('control.log'))).size < 1_500) await new Promise((resolve) => setTimeout(resolve, 10));
    await rotateLogs(folder, limits);
    stdin.end('more\n');
    await once(writer, 'exit');
    await log.close();
    expect(await readFile(file('control.log'), 'utf8')).toBe('more\n');
  });

  it('says nothing of a folder that is not there', async () => {
    expect(await rotateLogs(file('none'), limits)).toEqual([]);
  });
});
