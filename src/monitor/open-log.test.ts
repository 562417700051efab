import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

/** Runs a module that has `openLog` and writes to this file; gives what it said of itself, on standard error. */
function runLogging(file: string, code: string): { exitCode: number | null; said: string } {
  const output = openSync(file, 'a');
  try {
    const source = `import { openLog } from ${JSON.stringify(join(import.meta.dirname, 'open-log.ts'))};\n${code}`;
    const run = spawnSync(process.execPath, ['--input-type=module', '-e', source], {
      stdio: ['ignore', output, 'pipe'],
      encoding: 'utf8',
      timeout: 15_000,
    });
    return { exitCode: run.status, said: run.stderr };
  } finally {
    closeSync(output);
  }
}

const count = `
  const counts = {};
  const log = openLog('gateway', 'info', (level) => { counts[level] = (counts[level] ?? 0) + 1; });
`;

describe('the log of a process', () => {
  it('has a line an event, and counts those that are written', () => {
    const folder = mkdtempSync(join(tmpdir(), 'poolhouse-log-'));
    try {
      const file = join(folder, 'log');
      const code = `${count} log.debug('a'); log.info('b'); log.warn({ n: 1 }, 'c'); log.level = 'debug'; log.debug('d'); console.error(JSON.stringify(counts));`;
      expect(runLogging(file, code)).toEqual({ exitCode: 0, said: '{"info":1,"warn":1,"debug":1}\n' });
      const lines = readFileSync(file, 'utf8').trim().split('\n');
      expect(lines.map((line) => JSON.parse(line) as object)).toMatchObject([
        { level: 30, process: 'gateway', msg: 'b' },
        { level: 40, n: 1, msg: 'c' },
        { level: 20, msg: 'd' },
      ]);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('ends no process when the disk is full, however much is logged', () => {
    const code = `${count}
      for (let index = 0; index < 3_000; index += 1) log.info({ text: 'x'.repeat(1_000) }, 'm');
      await new Promise((resolve) => setTimeout(resolve, 50));
      console.error(counts.info, process.memoryUsage().rss < 400 * 2 ** 20);`;
    expect(runLogging('/dev/full', code)).toEqual({ exitCode: 0, said: '3000 true\n' });
  });
});
