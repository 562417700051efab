import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { homeAt } from '../../core/home.ts';
import { installBootScript, removeBootScript, renderBootScript } from './boot-script.ts';

describe('the init script', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-boot-'));
  });
  afterEach(async () => {
    await rm(folder, { recursive: true });
  });

  async function run(...argv: string[]): Promise<string> {
    const command = ['/bin/sh', '-c', 'echo "$POOLHOUSE_HOME: $*"', 'it'];
    const script = join(folder, 'script');
    await writeFile(script, renderBootScript({ name: 'poolhouse-0123abcd', home: `/srv/it's a home`, command }), {
      mode: 0o755,
    });
    try {
      return (await promisify(execFile)(script, argv)).stdout;
    } catch (error) {
      return `exit ${String((error as { code: unknown }).code)}`; // of a program that ended otherwise
    }
  }

  it.each([
    ['start', `/srv/it's a home: up --boot\n`],
    ['stop', `/srv/it's a home: down --boot\n`],
    ['restart', `/srv/it's a home: down --boot\n/srv/it's a home: up --boot\n`],
    ['status', `/srv/it's a home: status\n`],
    ['dance', 'exit 2'],
  ])('%s', async (verb, said) => {
    expect(await run(verb)).toBe(said);
  });

  it('is written nowhere where the machine does not boot by scripts', async () => {
    const places = { scripts: folder, signs: [join(folder, 'inittab')] };
    await installBootScript('0123abcd', homeAt('/srv/home'), places);
    expect(existsSync(join(folder, 'poolhouse-0123abcd'))).toBe(false);
    await removeBootScript('0123abcd', places);
  });
});
