/**
 * A recipe says what an instance's image is made of: packages, files, commands, services. It is data, so that an
 * operator can add their own or change ours without touching code.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { PoolhouseError } from '../core/errors.ts';

export const recipeName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,40}$/, 'expected a name of small letters, digits and hyphens');

/** A path of the image: one with `..` would lead out of it while it is made. */
const imagePath = z
  .string()
  .regex(/^\/[^\0]*$/, 'expected an absolute path')
  .refine(hasNoWayUp, `expected a path without '..'`);

function hasNoWayUp(path: string): boolean {
  return !path.split('/').includes('..');
}

/** What can be offered at a port that knows people. */
const services = ['ssh', 'jupyterhub', 'rdp'] as const;
export type Service = (typeof services)[number];

const fileSchema = z.strictObject({
  /** Where it goes in the image. */
  path: imagePath,
  /** A file in the recipe's folder `files/`, or in a folder of it … */
  source: z
    .string()
    .regex(/^[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*$/)
    .refine(hasNoWayUp, `expected a path without '..'`)
    .optional(),
  /** … or the text itself. */
  content: z.string().optional(),
  mode: z
    .string()
    .regex(/^0?[0-7]{3,4}$/)
    .default('0644'),
  /** A package's own file of this name moves here, now and when the package comes later. */
  divert: imagePath.optional(),
});

const recipeSchema = z.strictObject({
  name: recipeName,
  extends: recipeName.optional(),
  suite: z
    .string()
    .regex(/^[a-z]+$/)
    .optional(),
  packages: z.array(z.string().regex(/^[a-z0-9][a-z0-9+.-]+(:[a-z0-9]+)?$/)).default([]),
  files: z.array(fileSchema).default([]),
  /** Run in the image at the end of its making, in order, each by `sh -c`. */
  commands: z.array(z.string()).default([]),
  enable: z.array(z.string()).default([]),
  mask: z.array(z.string()).default([]),
  /** Which port speaks what: rules to these ports may become aware of people. */
  services: z.record(z.string().regex(/^\d{1,5}$/), z.enum(services)).default({}),
});

export interface RecipeFile {
  path: string;
  content: Buffer;
  mode: number;
  divert: string | undefined;
}

/** A recipe with all that it extends, ready to be built. */
export interface Recipe {
  name: string;
  suite: string | undefined;
  packages: string[];
  files: RecipeFile[];
  commands: string[];
  enable: string[];
  mask: string[];
  services: Record<string, Service>;
}

/**
 * Reads a recipe from the first folder that has it: an operator's folder goes before ours. `ImageBuildFailed` says what
 * is wrong with it, and where.
 */
export async function loadRecipe(
  name: string,
  folders: readonly string[],
  above: readonly string[] = [],
): Promise<Recipe> {
  if (above.includes(name)) throw broken(name, `it extends itself: ${[...above, name].join(' → ')}`);
  for (const folder of folders) {
    const home = join(folder, name);
    const text = await readIfThere(join(home, 'recipe.json')).catch((error: unknown) => {
      throw broken(name, `${join(home, 'recipe.json')} cannot be read`, error);
    });
    if (text === undefined) continue;
    const own = parse(name, join(home, 'recipe.json'), text);
    const base = own.extends === undefined ? undefined : await loadRecipe(own.extends, folders, [...above, name]);
    const files = await Promise.all(own.files.map((file) => readRecipeFile(name, home, file)));
    return {
      name,
      suite: own.suite ?? base?.suite,
      packages: [...new Set([...(base?.packages ?? []), ...own.packages])].toSorted(),
      // A file of ours replaces the one that it extends.
      files: [...new Map([...(base?.files ?? []), ...files].map((file) => [file.path, file])).values()],
      commands: [...(base?.commands ?? []), ...own.commands],
      enable: [...new Set([...(base?.enable ?? []), ...own.enable])],
      mask: [...new Set([...(base?.mask ?? []), ...own.mask])],
      services: { ...base?.services, ...own.services },
    };
  }
  throw broken(name, `there is no folder '${name}' with a recipe.json in ${folders.join(' or ')}`);
}

/** A file's text; undefined only where there is none: what is there and cannot be read is an error. */
export async function readIfThere(file: string): Promise<string | undefined> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    throw error;
  });
}

function parse(name: string, file: string, text: string): z.infer<typeof recipeSchema> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw broken(name, `${file} is not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  const parsed = recipeSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [first] = parsed.error.issues;
  throw broken(name, `${file}: ${first?.path.join('.') ?? ''}: ${first?.message ?? 'not valid'}`);
}

async function readRecipeFile(name: string, home: string, file: z.infer<typeof fileSchema>): Promise<RecipeFile> {
  if ((file.source === undefined) === (file.content === undefined))
    throw broken(name, `the file ${file.path} needs either 'source' or 'content'`);
  const path = join(home, 'files', file.source ?? '');
  const content =
    file.content === undefined
      ? await readFile(path).catch((error: unknown) => {
          throw broken(name, `its file ${path} cannot be read`, error);
        })
      : Buffer.from(file.content);
  return { path: file.path, content, mode: Number.parseInt(file.mode, 8), divert: file.divert };
}

function broken(name: string, why: string, cause?: unknown): PoolhouseError {
  return new PoolhouseError(
    'ImageBuildFailed',
    `The image recipe '${name}' cannot be used: ${why}.`,
    cause === undefined ? {} : { cause },
  );
}

/** Grows when the builder makes something else of the same recipe. */
const builderVersion = 1;

/** What an image is kept by: two recipes with the same fingerprint give the same image. */
export function fingerprintOf(recipe: Recipe, suite: string): string {
  const hash = createHash('sha256');
  const { files, ...rest } = recipe;
  hash.update(JSON.stringify({ ...rest, suite, builderVersion }));
  for (const file of files)
    hash.update(JSON.stringify([file.path, file.mode, file.divert ?? null, file.content.toString('base64')]));
  return hash.digest('hex');
}
