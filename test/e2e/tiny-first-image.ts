/** The image that `up` prepares first is not looked into by tests of the machine: a tiny one stands in its place. */
import { copyFile, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hostSuite } from '../../src/images/build-image.ts';
import { fingerprintOf, loadRecipe } from '../../src/images/recipe.ts';
import { buildTinyImage } from '../conformance/tiny-image.ts';

const recipes = join(import.meta.dirname, '../../images/recipes');

/**
 * @param home of the installation
 * @returns the image's file, which whoever builds that image is not to find: it is to be removed before images are kept
 */
export async function putTinyFirstImage(home: string): Promise<string> {
  const recipe = await loadRecipe('datascience', [recipes]);
  const file = join(home, 'images', `${fingerprintOf(recipe, (await hostSuite()).suite)}.tar`);
  await rm(file, { force: true });
  const folder = await mkdtemp(join(tmpdir(), 'poolhouse-tiny-'));
  try {
    await copyFile(await buildTinyImage(folder), file);
  } finally {
    await rm(folder, { recursive: true });
  }
  return file;
}
