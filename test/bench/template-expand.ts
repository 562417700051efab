import { expandTemplate } from '../../src/template/expand.ts';
import { context, templateOf } from '../../src/template/test-support.ts';
import type { Benchmark } from './benchmark.ts';

/** 800 resources of one loop, each with expressions as published templates have them. */
const text = templateOf({
  parameters: { prefix: { type: 'string', defaultValue: 'res' } },
  variables: { location: '[resourceGroup().location]', tags: { group: '[resourceGroup().name]' } },
  resources: [
    {
      type: 'Microsoft.Network/virtualNetworks',
      apiVersion: '2022-07-01',
      name: "[concat(parameters('prefix'), copyIndex(), '-', uniqueString(resourceGroup().id))]",
      location: "[variables('location')]",
      tags: "[variables('tags')]",
      copy: { name: 'networks', count: 800 },
      properties: {
        addressSpace: {
          addressPrefixes: ["[format('10.{0}.{1}.0/24', div(copyIndex(), 256), mod(copyIndex(), 256))]"],
        },
        subnets: [
          {
            name: 'a',
            properties: { addressPrefix: "[format('10.{0}.{1}.0/25', div(copyIndex(), 256), mod(copyIndex(), 256))]" },
          },
        ],
        peer: "[resourceId('Microsoft.Network/virtualNetworks', concat(parameters('prefix'), '0'))]",
      },
    },
  ],
});

export const templateExpand: Benchmark = {
  name: 'template.expand-800.ms',
  unit: 'ms',
  goal: { atMost: 150 },
  missing: () => Promise.resolve(undefined),
  measure() {
    const rounds: number[] = [];
    for (let round = 0; round < 7; round += 1) {
      const begun = performance.now();
      expandTemplate(text, {}, context);
      rounds.push(performance.now() - begun);
    }
    return Promise.resolve({ rounds: rounds.slice(2) }); // the first ones compile
  },
};
