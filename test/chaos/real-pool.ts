/**
 * The pool that rounds on the real engine deploy: the sample's template, without its notebook port, on the small image;
 * its script fetches a file, runs for a moment, and mounts the share.
 */
import { existsSync } from 'node:fs';
import { link, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JsonObject } from '../../src/core/json.ts';
import { buildImage, hostSuite } from '../../src/images/build-image.ts';
import { fingerprintOf, loadRecipe } from '../../src/images/recipe.ts';
import { repository } from '../e2e/installation.ts';

const recipes = join(repository, 'images', 'recipes');

/** Has an installation take the small image for the large one, which nothing here needs. */
export async function useSmallImage(home: string): Promise<void> {
  const own = join(home, 'recipes');
  await mkdir(join(own, 'datascience'), { recursive: true, mode: 0o700 });
  await writeFile(join(own, 'datascience', 'recipe.json'), '{"name": "datascience", "extends": "base"}\n');
  const { suite } = await hostSuite();
  const base = await loadRecipe('base', [recipes]);
  const large = await loadRecipe('datascience', [own, recipes]);
  const folder = join(home, 'images');
  const file = await buildImage({
    recipe: base,
    fingerprint: fingerprintOf(base, suite),
    suite,
    folder,
    signal: AbortSignal.timeout(600_000),
  });
  const target = join(folder, `${fingerprintOf(large, suite)}.tar`);
  if (!existsSync(target)) await link(file, target);
}

interface Sample {
  resources: {
    type: string;
    properties: {
      probes: { name: string }[];
      loadBalancingRules: { name: string }[];
      virtualMachineProfile: {
        extensionProfile: {
          extensions: { properties: { settings: JsonObject; protectedSettings: { commandToExecute: string } } }[];
        };
      };
    };
  }[];
}

/** @param scriptUrl what the script fetches before it runs */
export async function poolTemplate(scriptUrl: string): Promise<JsonObject> {
  const text = await readFile(join(repository, 'examples', 'shared-pool', 'template.json'), 'utf8');
  const template = JSON.parse(text) as Sample & JsonObject; // a file of our own
  for (const { type, properties } of template.resources) {
    if (type === 'Microsoft.Network/loadBalancers') {
      const isSsh = (one: { name: string }) => one.name === 'ssh';
      properties.probes = properties.probes.filter(isSsh);
      properties.loadBalancingRules = properties.loadBalancingRules.filter(isSsh);
    }
    if (type === 'Microsoft.Compute/virtualMachineScaleSets') {
      for (const extension of properties.virtualMachineProfile.extensionProfile.extensions) {
        const { protectedSettings } = extension.properties;
        extension.properties.settings = { fileUris: [scriptUrl] };
        protectedSettings.commandToExecute = protectedSettings.commandToExecute.replace(
          "concat('set -e; ",
          "concat('set -e; sh begin.sh; ",
        );
      }
    }
  }
  return template;
}

/** One name for each group: accounts and pools of one group are not those of the other. */
export function poolDeployment(template: JsonObject, group: string, count: number): JsonObject {
  return {
    properties: {
      mode: 'Incremental',
      template,
      parameters: {
        poolName: { value: `pool${group}` },
        instanceCount: { value: count },
        vmSku: { value: 'Standard_B1ms' },
        adminUsername: { value: `user${group}` },
        adminPassword: { value: 'Correct-Horse-7' },
        adminPublicKey: {
          value: 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ0dqOPMA8xJT4Nr8tqV0Z9EEiOTjFCgZxT1n8PVyLZ alice',
        },
        storageAccountName: { value: `account${group}` },
        shareQuotaGiB: { value: 1 },
      },
    },
  };
}
