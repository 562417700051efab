import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { locateFiles } from '../core/program-files.ts';
import { buildName, describeBuild, readBuild, readCommit } from './build.ts';

describe('the build', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'poolhouse-build-'));
    await writeFile(join(root, 'package.json'), '{"version": "1.2.3"}');
  });
  afterEach(() => rm(root, { recursive: true }));

  const git = (...argv: string[]) =>
    execFileSync('git', ['-C', root, '-c', 'user.name=A', '-c', 'user.email=a@example.com', ...argv], {
      encoding: 'utf8',
      env: { ...process.env, GIT_COMMITTER_DATE: '2026-03-04T23:30:00+02:00' },
    }).trim();
  const clone = () => locateFiles(`file://${root}/src/core/program-files.ts`);
  const installed = () => locateFiles(`file://${root}/dist/core/program-files.js`);

  it('of a clone is its commit, and says when files differ from it', async () => {
    git('init', '-q');
    git('add', '.');
    git('commit', '-q', '-m', 'First');
    const hash = git('rev-parse', 'HEAD').slice(0, 7);
    expect(readBuild(clone())).toEqual({ version: '1.2.3', build: hash, date: '2026-03-04' });
    await writeFile(join(root, 'new'), '');
    expect(readBuild(clone())).toEqual({ version: '1.2.3', build: `${hash}-dirty`, date: '2026-03-04' });
  });

  it('has a name for programs, whatever lies in a clone', () => {
    expect(buildName({ version: '1.2.3', build: 'abc1234-dirty' })).toBe('1.2.3+abc1234');
    expect(buildName({ version: '1.2.3', build: null })).toBe('1.2.3');
  });

  it('of a package is what its making wrote, whatever lies around it', async () => {
    git('init', '-q');
    git('commit', '-q', '--allow-empty', '-m', 'Of somebody else');
    await mkdir(join(root, 'dist'));
    await writeFile(join(root, 'dist', 'build.json'), '{"build": "abc1234", "date": "2026-11-23"}');
    expect(readBuild(installed())).toEqual({ version: '1.2.3', build: 'abc1234', date: '2026-11-23' });
  });

  it('is unknown in a folder without git, in a clone without a commit, and inside the clone of something else', async () => {
    const unknown = { version: '1.2.3', build: null, date: null };
    expect(readBuild(clone())).toEqual(unknown);
    git('init', '-q');
    expect(readBuild(clone())).toEqual(unknown);
    git('commit', '-q', '--allow-empty', '-m', 'First');
    await mkdir(join(root, 'inside'));
    expect(readCommit(join(root, 'inside'))).toEqual({ build: null, date: null });
  });

  it('is told in a line', () => {
    expect(describeBuild({ version: '0.1.0', build: 'abc1234', date: '2026-11-23' })).toBe(
      'poolhouse 0.1.0 (build abc1234, 2026-11-23)',
    );
    expect(describeBuild({ version: '0.1.0', build: null, date: null })).toBe('poolhouse 0.1.0 (build unknown)');
  });
});
