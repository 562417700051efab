import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Json, JsonObject } from '../core/json.ts';
import { readSetting } from './read-setting.ts';

const example = join(import.meta.dirname, '../../examples/autoscale/setting.json');
const resource = JSON.parse(readFileSync(example, 'utf8')) as JsonObject & { properties: JsonObject };

describe('an autoscale setting that is to be tried', () => {
  const expected = readSetting(resource);

  it('may be switched off where it comes from', () => {
    expect(readSetting({ ...resource, properties: { ...resource.properties, enabled: false } })).toEqual(expected);
  });

  it('is read from what az shows of it, with durations as older az prints them', () => {
    const text = JSON.stringify({ ...resource, ...resource.properties, properties: undefined })
      .replaceAll('"PT1M"', '"0:01:00"')
      .replaceAll('"PT10M"', '"0:10:00"');
    expect(readSetting(JSON.parse(text) as Json)).toEqual(expected);
  });

  it('is found in a template, whose expressions for the scale set do not matter', () => {
    const profiles = JSON.parse(
      JSON.stringify(resource.properties['profiles']).replaceAll(
        '"metricName":',
        `"metricResourceUri":"[variables('pool')]","metricName":`,
      ),
    ) as Json;
    const inTemplate: JsonObject = {
      type: 'Microsoft.Insights/autoscaleSettings',
      properties: { targetResourceUri: `[resourceId('x', 'y')]`, profiles },
    };
    expect(readSetting({ resources: [{ type: 'Microsoft.Compute/virtualMachineScaleSets' }, inTemplate] })).toEqual(
      expected,
    );
  });

  it.each([
    [{ resources: [] }, 'has 0 resources'],
    [[], 'no JSON object'],
    [{ properties: {} }, 'profiles'],
    [{ properties: { profiles: [{ name: 'p', capacity: { minimum: 3, maximum: 1, default: 1 } }] } }, 'minimum'],
  ])('that is none (%j) is refused', (document, why) => {
    expect(() => readSetting(document)).toThrow(why);
  });
});
