/** The functions of the language by the examples of their documentation (learn.microsoft.com, ARM template functions). */
import { describe, expect, it } from 'vitest';
import type { Json } from '../../core/json.ts';
import { evaluated } from '../test-support.ts';
import { uniqueString } from './unique-string.ts';

const good: Record<string, [string, Json][]> = {
  strings: [
    ["base64('one, two, three')", 'b25lLCB0d28sIHRocmVl'],
    ["base64ToString('b25lLCB0d28sIHRocmVl')", 'one, two, three'],
    [`base64ToJson(base64('{"one": "a"}'))`, { one: 'a' }],
    ["concat('prefix', '-', 'end')", 'prefix-end'],
    ["concat('a', 1, true())", 'a1True'],
    ["contains('OneTwoThree', 'two')", false],
    ["contains('OneTwoThree', 'Two')", true],
    ["dataUriToString('data:;base64,SGVsbG8sIFdvcmxkIQ==')", 'Hello, World!'],
    ["endsWith('abcdef', 'EF')", true],
    ["startsWith('abcdef', 'AB')", true],
    ["empty('')", true],
    ["first('One Two')", 'O'],
    ["last('One Two')", 'o'],
    [
      "format('{0}, {1}. Formatted number: {2:N0}', 'Hello', 'User', 8175133)",
      'Hello, User. Formatted number: 8,175,133',
    ],
    ["format('{{{0}}}', 'x')", '{x}'],
    ["format('{0:D4}', 7)", '0007'],
    ["indexOf('test', 'T')", 0],
    ["lastIndexOf('test', 't')", 3],
    ["indexOf('abc', 'z')", -1],
    ["length('One Two Three')", 13],
    ["padLeft('123', 10, '0')", '0000000123'],
    ["padLeft(7, 3, '0')", '007'],
    ["replace('123-123-1234', '-', '')", '1231231234'],
    ["replace('a', 'a', '$&')", '$&'],
    ["skip('one two three', 4)", 'two three'],
    ["take('one two three', 3)", 'one'],
    ["split('one,two,three', ',')", ['one', 'two', 'three']],
    ["split('one;two,three', createArray(';', ','))", ['one', 'two', 'three']],
    ["string(createArray('a', 1))", '["a",1]'],
    ['string(true())', 'True'],
    ["substring('one two three', 4, 3)", 'two'],
    ["substring('abc', 3)", ''],
    ["toUpper('One')", 'ONE'],
    ["toLower('One')", 'one'],
    ["trim('  one  ')", 'one'],
    ["uri('http://contoso.org/firstpath', 'myscript.sh')", 'http://contoso.org/myscript.sh'],
    ["uri('http://contoso.org/firstpath/', 'myscript.sh')", 'http://contoso.org/firstpath/myscript.sh'],
    ["uriComponent('http://x/?q=a b')", 'http%3A%2F%2Fx%2F%3Fq%3Da%20b'],
    ["uriComponentToString('a%20b')", 'a b'],
    ["uniqueString('a')", 'cfvwxu6sc4lqo'],
    ["uniqueString('a', 'b', 'c')", 'bhw7m6t6ntwd6'],
    ["uniqueString('a', 'b', 'c', 'd')", 'yxzg7ur4qetcy'],
    ["'it''s'", "it's"],
  ],
  'arrays and objects': [
    ["array('a')", ['a']],
    ["concat(createArray('a'), createArray('b'))", ['a', 'b']],
    ["contains(createArray('one', 'two'), 'two')", true],
    ["contains(createObject('one', 'a'), 'ONE')", true],
    ['createArray()', []],
    ["createObject('intProp', 1, 'b', createArray(true()))", { intProp: 1, b: [true] }],
    ['empty(createArray())', true],
    ['empty(createObject())', true],
    ['first(createArray(3, 2))', 3],
    ['flatten(createArray(createArray(1, 2), createArray(3)))', [1, 2, 3]],
    ['intersection(createArray(1, 2, 3), createArray(3, 2))', [2, 3]],
    [
      "items(createObject('b', 2, 'a', 1))",
      [
        { key: 'a', value: 1 },
        { key: 'b', value: 2 },
      ],
    ],
    [`json('{"a": [1]}')`, { a: [1] }],
    ["join(createArray('a', 'b'), ', ')", 'a, b'],
    ['last(createArray(3, 2))', 2],
    ["length(createObject('a', 1))", 1],
    ['max(createArray(0, 3, 2))', 3],
    ['min(0, 3, 2)', 0],
    ["objectKeys(createObject('b', 1, 'a', 2))", ['a', 'b']],
    ['range(5, 3)', [5, 6, 7]],
    ["shallowMerge(createArray(createObject('a', 1), createObject('a', 2)))", { a: 2 }],
    ['skip(createArray(1, 2, 3), 2)', [3]],
    ['take(createArray(1, 2, 3), 2)', [1, 2]],
    ["tryGet(createObject('a', 1), 'b')", null],
    ["tryGet(createObject('a', createObject('b', 5)), 'a', 'b')", 5],
    ['union(createArray(1, 2), createArray(2, 3))', [1, 2, 3]],
    ["union(createObject('a', 1), createObject('b', 2))", { a: 1, b: 2 }],
    ["createObject('a', createArray(1, createObject('b', 'x'))).a[1]['b']", 'x'],
  ],
  'logic and numbers': [
    ['and(true(), bool(1))', true],
    ["or(false(), bool('true'))", true],
    ['not(true())', false],
    ["if(true(), 'a', div(1, 0))", 'a'],
    ["coalesce(null(), 'x')", 'x'],
    ["equals('a', 'A')", false],
    ['equals(createArray(1), createArray(1))', true],
    ['greater(2, 1)', true],
    ["less('a', 'b')", true],
    ['greaterOrEquals(1, 1)', true],
    ['lessOrEquals(2, 1)', false],
    ['add(5, 3)', 8],
    ['sub(7, 3)', 4],
    ['mul(5, 3)', 15],
    ['div(8, 3)', 2],
    ['div(-8, 3)', -2],
    ['mod(7, 3)', 1],
    ["int('4')", 4],
    ["float('3.5')", 3.5],
  ],
  cidr: [
    [
      "parseCidr('10.144.0.0/20')",
      {
        network: '10.144.0.0',
        netmask: '255.255.240.0',
        broadcast: '10.144.15.255',
        firstUsable: '10.144.0.1',
        lastUsable: '10.144.15.254',
        cidr: 20,
      },
    ],
    ["cidrSubnet('10.144.0.0/20', 24, 0)", '10.144.0.0/24'],
    ["cidrSubnet('10.144.0.0/20', 24, 15)", '10.144.15.0/24'],
    ["cidrHost('10.144.3.0/24', 0)", '10.144.3.1'],
  ],
  dates: [
    ["dateTimeAdd('2020-04-07 14:53:14Z', 'P3Y')", '2023-04-07T14:53:14Z'],
    ["dateTimeAdd('2020-04-07 14:53:14Z', '-P9D')", '2020-03-29T14:53:14Z'],
    ['dateTimeFromEpoch(1683040573)', '2023-05-02T15:16:13Z'],
    ["dateTimeAdd('9999-12-31T23:59:59Z', 'PT0S')", '9999-12-31T23:59:59Z'],
    ["dateTimeToEpoch('2023-05-02T15:16:13Z')", 1683040573],
  ],
  lambdas: [
    ["filter(range(0, 6), lambda('i', greater(lambdaVariables('i'), 3)))", [4, 5]],
    ["map(createArray(1, 2), lambda('i', mul(lambdaVariables('i'), 10)))", [10, 20]],
    ["reduce(range(1, 4), 0, lambda('sum', 'i', add(lambdaVariables('sum'), lambdaVariables('i'))))", 10],
    ["sort(createArray(3, 1, 2), lambda('a', 'b', less(lambdaVariables('a'), lambdaVariables('b'))))", [1, 2, 3]],
    ["toObject(createArray('a', 'b'), lambda('e', lambdaVariables('e')), lambda('e', 1))", { a: 1, b: 1 }],
    [
      "groupBy(createArray('ab', 'cd', 'ae'), lambda('e', first(lambdaVariables('e'))))",
      { a: ['ab', 'ae'], c: ['cd'] },
    ],
    ["mapValues(createObject('a', 1), lambda('v', add(lambdaVariables('v'), 1)))", { a: 2 }],
    [
      "map(createArray(1, 2), lambda('i', map(createArray(10), lambda('j', add(lambdaVariables('i'), lambdaVariables('j'))))))",
      [[11], [12]],
    ],
  ],
  'place and ids': [
    ['resourceGroup().location', 'westeurope'],
    ['deployment().name', 'first'],
    ['subscription().subscriptionId', '00000000-0000-4000-8000-000000000001'],
    [
      "resourceId('Microsoft.Network/virtualNetworks/subnets', 'net', 'inner')",
      '/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/team/providers/Microsoft.Network/virtualNetworks/net/subnets/inner',
    ],
    [
      "resourceId('other', 'Microsoft.Network/virtualNetworks', 'net')",
      '/subscriptions/00000000-0000-4000-8000-000000000001/resourceGroups/other/providers/Microsoft.Network/virtualNetworks/net',
    ],
    ["extensionResourceId('/x', 'Microsoft.Authorization/locks', 'l')", '/x/providers/Microsoft.Authorization/locks/l'],
    [
      "subscriptionResourceId('Microsoft.Authorization/roleDefinitions', 'r')",
      '/subscriptions/00000000-0000-4000-8000-000000000001/providers/Microsoft.Authorization/roleDefinitions/r',
    ],
  ],
};

describe.each(Object.entries(good))('functions: %s', (_group, cases) => {
  it.each(cases)('%s', (expression, expected) => {
    expect(evaluated(`[${expression}]`)).toEqual(expected);
  });
});

describe('functions that cannot be evaluated say why', () => {
  it.each([
    ['nothing()', /'nothing' is not valid/],
    ['div(1, 0)', /div/i],
    ["int('x')", /int/],
    ["substring('abc', 2, 9)", /must refer to a location within the string/],
    ["createObject('a', 1).b", /'b' doesn't exist/],
    ['createArray(1)[4]', /out of bounds/],
    ['add(1)', /add/],
    ["add('1', 2)", /add/],
    ["resourceId('nothing')", /resourceId/],
    ["json('{')", /./],
    ["dateTimeAdd('2020-01-01T00:00:00Z', 'P999999999Y')", /'dateTimeAdd'.*years 1 to 9999/],
    ["dateTimeAdd('2020-01-01T00:00:00Z', '-P2020Y')", /'dateTimeAdd'.*years 1 to 9999/],
    ["dateTimeAdd('2020-01-01T00:00:00Z', 'PT99999999999999999999S', 'o')", /'dateTimeAdd'.*years 1 to 9999/],
    ['dateTimeFromEpoch(9007199254740991)', /'dateTimeFromEpoch'.*years 1 to 9999/],
    ['dateTimeFromEpoch(-99999999999)', /'dateTimeFromEpoch'.*years 1 to 9999/],
    ["dateTimeToEpoch('+012345-01-01T00:00:00Z')", /'dateTimeToEpoch'.*years 1 to 9999/],
    ["dateTimeToEpoch('2020-13-01T00:00:00Z')", /is not a date and time/],
    ['utcNow()', /default value of a parameter/],
    ['copyIndex()', /copyIndex/],
    ["parameters('x')", /'x' is not found/],
    ["variables('x')", /'x' is not found/],
    ["concat('a'", /./],
    ["format('{1}', 'a')", /format/],
  ])('%s', (expression, message) => {
    expect(() => evaluated(`[${expression}]`)).toThrow(message);
    expect(() => evaluated(`[${expression}]`)).toThrow(expect.objectContaining({ code: 'InvalidTemplate' }) as Error);
  });

  it.each([
    [
      'a text that doubles',
      { a: 'xxxxxxxxxx' },
      (name: string) => `[concat(variables('${name}'), variables('${name}'))]`,
    ],
    ['a list that doubles', { a: ['x'] }, (name: string) => `[concat(variables('${name}'), variables('${name}'))]`],
  ])('refuses %s without end', (_what, first, next) => {
    const variables: Record<string, Json> = { ...first };
    let last = 'a';
    for (let depth = 0; depth < 60; depth += 1) {
      variables[`${last}a`] = next(last);
      last = `${last}a`;
    }
    expect(() => evaluated(`[length(variables('${last}'))]`, { variables })).toThrow(
      expect.objectContaining({ code: 'InvalidTemplate' }) as Error,
    );
  });
});

describe('uniqueString', () => {
  it('has 13 characters, differs with its arguments, and is the same for the same', () => {
    expect(uniqueString(['x'])).toMatch(/^[a-z2-7]{13}$/);
    expect(uniqueString(['x', 'y'])).not.toBe(uniqueString(['y', 'x']));
    expect(uniqueString(['ü'.repeat(1000)])).toBe(uniqueString(['ü'.repeat(1000)]));
  });
});
