/** What machines made by a recipe offer: read once, for a recipe that changes makes another image, and control begins anew. */
import type { Service } from '../images/recipe.ts';

export type Services = Readonly<Record<string, Service>>;

/** By port. Nothing for a recipe that cannot be read: whoever builds its image is told why. */
export function createRecipeServices(
  read: (recipe: string) => Promise<Services>,
): (recipe: string) => Promise<Services> {
  const known = new Map<string, Promise<Services>>();
  return (recipe) => {
    const found = known.get(recipe) ?? read(recipe);
    known.set(recipe, found);
    return found.catch(() => {
      known.delete(recipe);
      return {};
    });
  };
}
