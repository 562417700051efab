/**
 * Where the files of this program lie. A clone runs `src/*.ts`, an installed package `dist/*.js`: both folders stand in
 * the root and are the same inside, so one rule finds everything from either.
 */
import { dirname, extname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What runs as a process of its own, by its module. The build takes these and what they import, and nothing else. */
export const programs = [
  'cli/main',
  'control/main',
  'fetch/fetch-main',
  'gateway/main',
  'host/supervisor-main',
] as const;

export interface ProgramFiles {
  /** Beside the code stand `package.json`, `images` and `examples`. */
  root: string;
  /** `src` or `dist`. */
  code: string;
  /** The file to give to Node for one of the programs. */
  program(name: (typeof programs)[number]): string;
}

/** From the URL of a module that stands one folder below the code. Pure. */
export function locateFiles(self: string): ProgramFiles {
  const file = fileURLToPath(self);
  const code = dirname(dirname(file));
  return { root: dirname(code), code, program: (name) => join(code, `${name}${extname(file)}`) };
}

export const programFiles = locateFiles(import.meta.url);
