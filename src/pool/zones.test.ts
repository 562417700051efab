import { expect, it } from 'vitest';
import { spreadOverZones } from './zones.ts';

it.each([
  ['no zones', [], [], 2, []],
  ['one after the other', [], ['1', '2', '3'], 4, ['1', '2', '3', '1']],
  ['where there are fewest', ['1', '1', '2'], ['1', '2', '3'], 3, ['3', '2', '3']],
  ['not where there are none any more', ['9', undefined], ['1', '2'], 2, ['1', '2']],
])('new instances: %s', (_, taken, zones, count, expected) => {
  expect(spreadOverZones(taken, zones, count)).toEqual(expected);
});
