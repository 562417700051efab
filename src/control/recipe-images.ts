/** Recipes, where control finds them, as images in the engine and as what machines made of them offer. */
import type { Logger } from 'pino';
import type { Home } from '../core/home.ts';
import { programFiles } from '../core/program-files.ts';
import type { Clock } from '../core/time.ts';
import type { Engine } from '../engines/engine.ts';
import { buildImage, hostSuite } from '../images/build-image.ts';
import { fingerprintOf, loadRecipe } from '../images/recipe.ts';
import type { ControlMetrics } from './control-metrics.ts';
import { createImageKeeper, type ImageKeeper } from './image-keeper.ts';
import { observeBuild } from './observe-downloads.ts';
import { createRecipeServices, type Services } from './recipe-services.ts';

export interface RecipeImagesParts {
  home: Home;
  engine: Engine;
  metrics: Pick<ControlMetrics, 'imageBuilt'>;
  clock: Clock;
  log: Logger;
  signal: AbortSignal;
  changed: () => void;
}

export interface RecipeImages {
  images: ImageKeeper;
  servicesOf: (recipe: string) => Promise<Services>;
}

/** A simulated engine needs no images: they are ready, and nothing is read of their recipes. */
export async function createRecipeImages(parts: RecipeImagesParts): Promise<RecipeImages> {
  const { home, engine, metrics, clock, log, signal, changed } = parts;
  const { real } = engine.capabilities();
  const { suite } = await hostSuite();
  const folders = [home.recipes, `${programFiles.root}/images/recipes`];
  const load = (recipe: string) => loadRecipe(recipe, folders);
  const fingerprint = async (recipe: string) => {
    const loaded = await load(recipe);
    return fingerprintOf(loaded, loaded.suite ?? suite);
  };

  async function build(recipe: string, buildSignal: AbortSignal) {
    const loaded = await load(recipe);
    return buildImage({
      recipe: loaded,
      fingerprint: await fingerprint(recipe),
      suite: loaded.suite ?? suite,
      folder: home.images,
      onProgress: (phase) => {
        log.info({ recipe, phase }, 'the image is being built');
      },
      signal: buildSignal,
      log,
    });
  }

  return {
    images: createImageKeeper({
      engine,
      fingerprint: (recipe) => (real ? fingerprint(recipe) : Promise.resolve('0'.repeat(64))),
      build: observeBuild(build, clock, metrics),
      ...{ clock, log, signal, changed },
    }),
    servicesOf: createRecipeServices(async (recipe) => (real ? (await load(recipe)).services : {})),
  };
}
