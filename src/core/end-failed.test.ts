import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { shortestLife } from './end-failed.ts';

const script = `
  import { endFailed } from ${JSON.stringify(fileURLToPath(new URL('end-failed.ts', import.meta.url)))};
  process.on('exit', () => console.log(performance.now()));
  await endFailed(3);`;

describe('a process that could not start', () => {
  it.each([
    ['lives for a while where that is asked for', { [shortestLife]: '1.5' }, 1_500],
    ['ends at once elsewhere', {}, 0],
  ])('%s', (_what, env, least) => {
    const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], { env });
    expect(status).toBe(3);
    expect(Number(stdout.toString())).toBeGreaterThanOrEqual(least);
  });
});
