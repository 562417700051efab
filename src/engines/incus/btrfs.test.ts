import { describe, expect, it } from 'vitest';
import { parseGroups, parseSnapshots, parseSubvolumes } from './btrfs.ts';
import { parseMounts } from './folder-mounts.ts';
import { readIdMap } from './owners.ts';

describe('what programs of the file system say', () => {
  it('reads quota groups', () => {
    const text = [
      'Qgroupid    Referenced    Exclusive  Max referenced   Parent  Path ',
      '--------    ----------    ---------  --------------   ------  ---- ',
      '0/5              16384        16384            none   -       <toplevel>',
      '0/257         20951040        16384        20971520   1/256   custom/a b',
      '1/256         20967424     20967424         8388608   -       <0 member qgroups>',
    ].join('\n');
    expect(parseGroups(text)).toEqual([
      { id: '0/5', referenced: 16_384, limit: undefined, parents: [] },
      { id: '0/257', referenced: 20_951_040, limit: 20_971_520, parents: ['1/256'] },
      { id: '1/256', referenced: 20_967_424, limit: 8_388_608, parents: [] },
    ]);
    expect(parseGroups('')).toEqual([]);
  });

  it('reads subvolumes, and when snapshots were made', () => {
    const path = 'custom/p_v/notebooks/alice and path bob';
    expect(parseSubvolumes(`ID 257 gen 9 top level 256 path ${path}\n`)).toEqual([{ id: 257, path }]);
    const row = `ID 258 gen 25 cgen 25 top level 257 otime 2026-11-26 17:50:10 path ${path}\n`;
    expect(parseSnapshots(row)).toEqual(new Map([[258, Date.UTC(2026, 10, 26, 17, 50, 10)]]));
    expect(parseSnapshots(parseSubvolumes.name)).toEqual(new Map());
  });

  it('reads what is mounted', () => {
    const row =
      '764 27 0:46 /custom/x /run/a\\040b rw,nosuid - btrfs /dev/loop1 rw,space_cache=v2,subvolid=257,subvol=/custom/x';
    expect(parseMounts(`${row}\n1 2 0:5 / /proc rw - proc proc rw\n`)).toEqual([
      { target: '/run/a b', source: '/dev/loop1', subvolume: 257 },
      { target: '/proc', source: 'proc', subvolume: undefined },
    ]);
  });

  it.each([undefined, '', '[]'])('knows of no id map in %j', (text) => {
    expect(readIdMap(text)).toBeUndefined();
  });

  it('moves numbers of people by the range that they are in', () => {
    const range = { Isuid: true, Isgid: false, Hostid: 100_000, Nsid: 0, Maprange: 65_536 };
    const map = readIdMap(JSON.stringify([range, { ...range, Isuid: false, Isgid: true, Hostid: 300_000 }]));
    expect([map?.uid(10_001), map?.gid(10_001)]).toEqual([110_001, 310_001]);
    expect(() => map?.uid(70_000)).toThrow('no range');
  });
});
