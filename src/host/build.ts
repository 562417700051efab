/** Which build of Poolhouse this is: a package says it in a file that its making wrote, a clone asks git. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { programFiles, type ProgramFiles } from '../core/program-files.ts';

export interface Build {
  version: string;
  /** The commit, with `-dirty` where files differ from it; null where nobody knows. */
  build: string | null;
  /** The commit's date. */
  date: string | null;
}

/** Where a package says which commit it was made from, in the folder of its code. */
export const buildFile = 'build.json';

/** What `poolhouse --version` tells. */
export function readBuild(files: ProgramFiles = programFiles): Build {
  const { version } = JSON.parse(readFileSync(join(files.root, 'package.json'), 'utf8')) as { version: string };
  const written = join(files.code, buildFile);
  const commit = existsSync(written)
    ? (JSON.parse(readFileSync(written, 'utf8')) as Commit) // our own build wrote it
    : readCommit(files.root);
  return { version, ...commit };
}

type Commit = Pick<Build, 'build' | 'date'>;

/** The commit of a clone, as git tells it. A folder inside somebody else's repository is no clone of ours. */
export function readCommit(root: string): Commit {
  const unknown = { build: null, date: null };
  if (!existsSync(join(root, '.git'))) return unknown;
  // The clone may be another user's: who runs its code may read its history.
  const git = (...argv: string[]) =>
    execFileSync('git', ['-c', `safe.directory=${root}`, '--no-optional-locks', '-C', root, ...argv], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 10_000,
    }).trim();
  try {
    const [hash = '', date = null] = git('log', '-1', '--format=%H %cs').split(' ');
    const changed = git('status', '--porcelain') !== '';
    return { build: `${hash.slice(0, 7)}${changed ? '-dirty' : ''}`, date };
  } catch {
    return unknown; // no git here, or no commit yet
  }
}

/** For people, in a line. Pure. */
export function describeBuild({ version, build, date }: Build): string {
  return `poolhouse ${version} (build ${[build ?? 'unknown', ...(date === null ? [] : [date])].join(', ')})`;
}

/**
 * For programs: `0.1.0+2c027fe`, as versions name their build; the version alone where nobody knows it. Files of a clone
 * that differ from its commit do not count, or what is started would be another with each of them. Pure.
 */
export function buildName({ version, build }: Pick<Build, 'version' | 'build'>): string {
  return build === null ? version : `${version}+${build.replace(/-dirty$/, '')}`;
}
