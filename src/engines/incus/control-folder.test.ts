import { describe, expect, it } from 'vitest';
import { rootGroupOf } from './control-folder.ts';

const instance = (next?: string) => ({
  name: 'one',
  config: next === undefined ? {} : { 'volatile.idmap.next': next },
});
const map = (kind: 'uid' | 'gid', host: number, inside: number) => ({
  Isuid: kind === 'uid',
  Isgid: kind === 'gid',
  Hostid: host,
  Nsid: inside,
  Maprange: 65_536,
});

describe('the group of an instance’s root, as the host calls it', () => {
  it.each([
    { maps: [map('uid', 100_000, 0), map('gid', 200_000, 0)], group: 200_000 },
    { maps: [map('gid', 900_000, 1_000), map('gid', 100_000, 0)], group: 100_000 },
  ])('is $group', ({ maps, group }) => {
    expect(rootGroupOf(instance(JSON.stringify(maps)))).toBe(group);
  });

  it.each([undefined, '[]'])('is unknown where the instance has the ids of the host (%s): it is refused', (maps) => {
    expect(() => rootGroupOf(instance(maps))).toThrow(`'one'`);
  });
});
