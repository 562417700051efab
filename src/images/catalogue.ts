/** Which recipe stands for an image of Azure's marketplace. */
import { z } from 'zod';
import { PoolhouseError } from '../core/errors.ts';
import { readIfThere, recipeName } from './recipe.ts';

const lineSchema = z.strictObject({
  publisher: z.string(),
  offer: z.string().default('*'),
  sku: z.string().default('*'),
  version: z.string().default('*'),
  recipe: recipeName,
});
export type Catalogue = z.infer<typeof lineSchema>[];

export interface ImageName {
  publisher: string;
  offer: string;
  sku: string;
  version: string;
}

/** Reads catalogues, the operator's first: the first line that fits an image counts. Missing files are passed over. */
export async function loadCatalogue(files: readonly string[]): Promise<Catalogue> {
  const lines: Catalogue = [];
  for (const file of files) {
    const text = await readIfThere(file).catch((error: unknown) => {
      throw new PoolhouseError(
        'InvalidConfiguration',
        `The image catalogue ${file} cannot be read: ${error instanceof Error ? error.message : ''}`,
        { cause: error },
      );
    });
    if (text === undefined) continue;
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch (error) {
      throw new PoolhouseError(
        'InvalidConfiguration',
        `The image catalogue ${file} is not JSON: ${error instanceof Error ? error.message : ''}`,
        { cause: error },
      );
    }
    const parsed = z.array(lineSchema).safeParse(value);
    if (!parsed.success)
      throw new PoolhouseError(
        'InvalidConfiguration',
        `The image catalogue ${file} is not valid: ${parsed.error.issues[0]?.path.join('.') ?? ''} ${parsed.error.issues[0]?.message ?? ''}`,
      );
    lines.push(...parsed.data);
  }
  return lines;
}

/** The recipe of an image, by names in any case and `*` for any text; `PlatformImageNotFound` with what to do where there is none. */
export function resolveImage(image: ImageName, catalogue: Catalogue): string {
  const line = catalogue.find(
    (one) =>
      fits(one.publisher, image.publisher) &&
      fits(one.offer, image.offer) &&
      fits(one.sku, image.sku) &&
      (fits(one.version, image.version) || image.version.toLowerCase() === 'latest'),
  );
  if (line !== undefined) return line.recipe;
  const name = `${image.publisher}:${image.offer}:${image.sku}:${image.version}`.slice(0, 200);
  const windows = /windows|standard-data-science-vm|(^|[-_])win([-_\d]|$)/i.test(`${image.publisher}_${image.offer}`);
  throw new PoolhouseError(
    'PlatformImageNotFound',
    windows
      ? `The platform image '${name}' is not available: Windows instances are not supported yet. Choose a Linux image, for example microsoft-dsvm:ubuntu-2204:2204-gen2:latest; a template that offers 'osType' takes 'linux'.`
      : `The platform image '${name}' is not available. Known publishers: ${[...new Set(catalogue.map((one) => one.publisher))].join(', ')}. To use it, add a line for it to catalogue.json in Poolhouse's home folder, with the recipe that it stands for.`,
    { target: 'imageReference' },
  );
}

/** Matches `*` for any text, without regular expressions: patterns come from files. */
function fits(pattern: string, text: string): boolean {
  const parts = pattern.toLowerCase().split('*');
  const value = text.toLowerCase();
  const [first = '', ...rest] = parts;
  if (rest.length === 0) return value === first;
  if (!value.startsWith(first)) return false;
  let at = first.length;
  const last = rest.pop() ?? '';
  for (const part of rest) {
    const found = value.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return value.length - last.length >= at && value.endsWith(last);
}
