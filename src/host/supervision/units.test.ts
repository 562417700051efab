import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { homeAt, runtimeFilesIn } from '../../core/home.ts';
import type { ProgramName } from './supervision.ts';
import { markOfUnit, renderRuntimePaths, renderUnit, runtimePaths, unitName, type UnitParts } from './units.ts';

const run = runtimeFilesIn('/run/poolhouse-0123abcd');
const parts = (change: Partial<UnitParts> = {}): UnitParts => ({
  home: homeAt('/var/lib/poolhouse'),
  run,
  programFolders: ['/usr/lib/node_modules/poolhouse'],
  programs: {
    control: {
      argv: ['/usr/bin/node', '/usr/lib/main.js', '--home', '/var/lib/poolhouse'],
      told: [],
      env: {},
      version: 'one',
    },
    gateway: { argv: ['/usr/bin/node', '/usr/lib/main.js'], told: [], env: { PATH: '/usr/bin' }, version: 'two' },
  },
  ...change,
});
const lines = (name: ProgramName, change: Partial<UnitParts> = {}) => renderUnit(name, parts(change)).split('\n');

describe('a unit', () => {
  it('is another when its program is another, and only then', () => {
    const { programs } = parts();
    const other = { programs: { ...programs, control: { ...programs.control, version: 'three' } } };
    expect(lines('control', other)).not.toEqual(lines('control'));
    expect(lines('gateway', other)).toEqual(lines('gateway'));
  });

  it('has another text, and no other mark, where a program is only told something else', () => {
    const { programs } = parts();
    const told = { programs: { ...programs, gateway: { ...programs.gateway, told: ['--build', '2'] } } };
    const [before, after] = [renderUnit('gateway', parts()), renderUnit('gateway', parts(told))];
    expect(after).not.toBe(before);
    expect(markOfUnit(after)).toBe(markOfUnit(before));
    expect(markOfUnit(before)).toMatch(/[0-9a-f]{32}$/);
  });

  it.each(['control', 'gateway'] as const)('of %s never gives up, and is back at once', (name) => {
    expect(lines(name)).toEqual(
      expect.arrayContaining(['Restart=always', 'RestartSec=200ms', 'StartLimitIntervalSec=0', 'KillMode=mixed']),
    );
  });

  it.each([
    ['a space', '/srv/a b', '"/srv/a b"', '/srv/a b'],
    ['a specifier', '/srv/100%n', '"/srv/100%%n"', '/srv/100%%n'],
    ['a variable', '/srv/$HOME', '"/srv/$$HOME"', '/srv/$HOME'],
    ['quotes', `/srv/"it's"`, `"/srv/\\"it's\\""`, `/srv/"it's"`],
    ['a backslash', '/srv/a\\b', '"/srv/a\\\\b"', '/srv/a\\b'],
  ])('takes a path with %s as it is', (_what, folder, word, rest) => {
    const home = homeAt(folder);
    const programs = {
      ...parts().programs,
      control: { argv: ['/usr/bin/node', folder], told: [], env: {}, version: '' },
    };
    const text = lines('control', { home, programs });
    expect(text).toContain(`ExecStart="/usr/bin/node" ${word}`);
    expect(text).toContain(`StandardOutput=append:${rest}/logs/control.log`);
    const path = word.replaceAll('$$', '$');
    expect(text).toContain(`ReadWritePaths=${path} "${run.folder}"`);
  });

  it('lets the gateway write into its own folder only', () => {
    expect(lines('gateway').filter((line) => line.startsWith('ReadWritePaths='))).toEqual([
      `ReadWritePaths="${run.gateway}"`,
    ]);
  });

  it('makes the folders at the start of the machine as `up` does', () => {
    expect(renderRuntimePaths(runtimePaths(run, 'poolhouse'))).toBe(
      [
        'd /run/poolhouse-0123abcd 0711 root root -',
        'd /run/poolhouse-0123abcd/gateway 0700 poolhouse root -',
        '',
      ].join('\n'),
    );
  });
});

const analyze = '/usr/bin/systemd-analyze';
const missing = existsSync(analyze) ? '' : ' (systemd-analyze is not installed)';
describe.skipIf(missing !== '')(`what systemd says of them${missing}`, () => {
  // 0 is the safest, 10 no sandbox at all. Control has to mount, make devices and change owners when it builds images.
  it.each([
    ['control', 55],
    ['gateway', 25],
  ] as const)('%s is in order, and exposed no more than %d/100', async (name, most) => {
    const folder = await mkdtemp(join(tmpdir(), 'poolhouse-units-'));
    try {
      const program = { argv: [process.execPath, '/dev/null'], told: [], env: { PATH: '/usr/bin:/bin' }, version: '' };
      const home = homeAt(join(folder, 'a home'));
      await mkdir(home.logs, { recursive: true });
      const file = join(folder, unitName('0123abcd', name));
      await writeFile(file, renderUnit(name, parts({ home, programs: { control: program, gateway: program } })));
      const verified = await promisify(execFile)(analyze, ['verify', '--man=no', file]);
      expect(verified.stderr.split('\n').filter((line) => line.includes('0123abcd'))).toEqual([]);
      await promisify(execFile)(analyze, ['security', '--offline=true', '--no-pager', `--threshold=${most}`, file]);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});
