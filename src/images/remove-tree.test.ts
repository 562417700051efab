import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { removeTree } from './remove-tree.ts';

describe('removeTree', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-tree-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('removes a folder, follows no link, and agrees that it is gone', async () => {
    await mkdir(join(folder, 'tree/a/b'), { recursive: true });
    await writeFile(join(folder, 'kept'), '');
    await symlink(folder, join(folder, 'tree/a/link'));
    await removeTree(join(folder, 'tree'));
    await removeTree(join(folder, 'tree'));
    expect(existsSync(join(folder, 'tree'))).toBe(false);
    expect(existsSync(join(folder, 'kept'))).toBe(true);
  });

  it.skipIf(process.getuid?.() !== 0)('leaves alone what is mounted in it (needs root)', async () => {
    const mounted = join(folder, 'tree/proc');
    await mkdir(mounted, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', 'poolhouse-test', mounted]);
    try {
      await writeFile(join(mounted, 'of the host'), '');
      await expect(removeTree(join(folder, 'tree'))).rejects.toThrow();
      expect(existsSync(join(mounted, 'of the host'))).toBe(true);
    } finally {
      execFileSync('umount', [mounted]);
    }
  });
});
