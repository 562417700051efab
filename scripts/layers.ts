/**
 * The folders of `src/` are the architecture: an import may only point down this list. Two processes share types and
 * the pure folders, so the gateway has a shorter list of its own.
 */
import { dirname, join, normalize } from 'node:path';
import ts from 'typescript';

/** From the top of the house to its ground. Folders of one line do not know each other. */
const layers: readonly (readonly string[])[] = [
  ['cli'],
  ['host'],
  ['control', 'gateway', 'simulate'],
  ['arm'],
  ['providers'],
  ['images', 'fetch', 'secrets', 'files'],
  ['store'],
  ['engines'],
  ['pool', 'template'],
  ['link', 'monitor', 'identity'],
  ['core'],
];

/** What a folder may import, where that is less than everything below it. */
const onlyThese: Readonly<Record<string, readonly string[]>> = {
  gateway: ['link', 'monitor', 'pool', 'identity', 'core'],
  identity: ['core'],
  files: ['core'],
  simulate: ['providers', 'engines', 'pool', 'core'],
};

export interface SourceFile {
  /** Relative to the project's root, such as `src/pool/plan.ts`. */
  path: string;
  text: string;
}

/** Every import that points the wrong way, one line each, with the rule that it breaks. Pure. */
export function findBreaches(files: readonly SourceFile[]): string[] {
  return files.flatMap(({ path, text }) => {
    const from = folderOf(path);
    if (from === undefined) return [];
    if (rankOf(from) === -1)
      return [`${path}: the folder src/${from} has no place in the list of layers (scripts/layers.ts)`];
    const isTest = path.endsWith('.test.ts');
    return ts.preProcessFile(text, true, true).importedFiles.flatMap(({ fileName, pos }) => {
      const line = text.slice(0, pos).split('\n').length;
      const breach = breachOf(path, from, fileName, isTest);
      return breach === undefined ? [] : [`${path}:${line} imports ${fileName}: ${breach}`];
    });
  });
}

function breachOf(path: string, from: string, imported: string, isTest: boolean): string | undefined {
  if (!imported.startsWith('.')) return undefined;
  const target = normalize(join(dirname(path), imported));
  const to = folderOf(target);
  if (to === undefined) return isTest ? undefined : `src/ imports nothing from outside`;
  if (to === from) return undefined;
  const allowed = onlyThese[from];
  if (allowed !== undefined && !allowed.includes(to))
    return `src/${from} may import only ${allowed.map((name) => `src/${name}`).join(', ')}`;
  if (rankOf(to) <= rankOf(from)) return `src/${to} is not below src/${from}`;
  return undefined;
}

function folderOf(path: string): string | undefined {
  const [top, folder, ...rest] = path.split('/');
  return top === 'src' && folder !== undefined && rest.length > 0 ? folder : undefined;
}

function rankOf(folder: string): number {
  return layers.findIndex((layer) => layer.includes(folder));
}
