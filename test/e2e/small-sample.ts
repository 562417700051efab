/** The example pool as small as tests of shells want it: with the small image, and without notebooks. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JsonObject } from '../../src/core/json.ts';
import { repository } from './installation.ts';

/** @param accountTags of the storage account */
export async function smallSample(accountTags: Readonly<Record<string, string>> = {}): Promise<string> {
  const text = await readFile(join(repository, 'examples/shared-pool/template.json'), 'utf8');
  const template = JSON.parse(text) as { resources: (JsonObject & { type: string; properties: JsonObject })[] };
  for (const resource of template.resources) {
    if (resource.type.endsWith('/storageAccounts')) resource['tags'] = accountTags;
    if (resource.type.endsWith('/loadBalancers'))
      for (const list of ['probes', 'loadBalancingRules'])
        resource.properties[list] = (resource.properties[list] as { name: string }[]).filter(
          (one) => one.name === 'ssh',
        );
    if (resource.type.endsWith('/virtualMachineScaleSets')) {
      const profile = resource.properties['virtualMachineProfile'] as { storageProfile: JsonObject };
      profile.storageProfile['imageReference'] = {
        ...{ publisher: 'Debian', offer: 'debian-12', sku: '12', version: 'latest' },
      };
    }
  }
  return JSON.stringify(template);
}
