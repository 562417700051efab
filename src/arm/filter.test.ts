import { describe, expect, it } from 'vitest';
import { filterResources } from './filter.ts';

const vnet = {
  id: '/subscriptions/s/resourceGroups/Team/providers/T/a',
  type: 'T/nets',
  name: 'a',
  tags: { team: 'red' },
};
const pool = {
  id: '/subscriptions/s/resourceGroups/other/providers/T/b',
  type: 'T/sets',
  name: "b's",
  location: 'westeurope',
  properties: { provisioningState: 'Succeeded' },
};

describe('$filter', () => {
  it.each<[string | undefined, object[]]>([
    [undefined, [vnet, pool]],
    ['', [vnet, pool]],
    ["resourceType eq 't/NETS'", [vnet]],
    ["resourceGroup eq 'team'", [vnet]],
    ["name eq 'b''s' and resourceType eq 'T/sets'", [pool]],
    ["name eq 'a' and resourceType eq 'T/sets'", []],
    ["tagName eq 'team' and tagValue eq 'red'", [vnet]],
    ["provisioningState eq 'Succeeded'", [pool]],
    ["location eq 'West Europe'", [pool]],
    ["name eq 'x and name eq y'", []],
  ])('%s', (filter, expected) => {
    expect(filterResources([vnet, pool], filter)).toEqual(expected);
  });

  it.each([
    'nonsense',
    "colour eq 'red'",
    "name ne 'a'",
    "name eq 'a' or name eq 'b'",
    "name eq 'a",
    "constructor eq 'x'",
  ])('refuses %s', (filter) => {
    expect(() => filterResources([vnet], filter)).toThrow(
      expect.objectContaining({ code: 'InvalidFilterInQueryString' }) as Error,
    );
  });
});
