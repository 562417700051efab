import { describe, expect, it } from 'vitest';
import { claimInstances, orphansToRemove, type FoundInstance } from './claim.ts';

const set = { key: '/sets/a', nameStem: 'a-111111' };
const found = (instanceId: number, change: Partial<FoundInstance> = {}): FoundInstance => ({
  name: `a-111111-00000${instanceId}`,
  hostname: `a00000${instanceId}`,
  address: `10.0.0.${instanceId + 2}`,
  labels: { 'scale-set': '/Sets/A', 'instance-id': String(instanceId), 'model-version': 'm1' },
  ...change,
});
const known = (instanceId: number) => ({ ...found(instanceId), scaleSetKey: set.key, instanceId });

describe('claiming', () => {
  it('asks nothing where the store knows all', () => {
    expect(claimInstances([set], [known(0), known(1)], [found(0), found(1)])).toEqual({ adopt: [], orphans: [] });
    expect(claimInstances([set], [known(0)], [])).toEqual({ adopt: [], orphans: [] });
  });

  it('adopts what belongs to a known set', () => {
    expect(claimInstances([set], [known(0)], [found(0), found(3)])).toEqual({
      adopt: [{ scaleSetKey: set.key, instanceId: 3, modelVersion: 'm1', instance: found(3) }],
      orphans: [],
    });
  });

  const strangers: [why: string, instance: FoundInstance][] = [
    ['of an unknown set', found(3, { labels: { ...found(3).labels, 'scale-set': '/sets/b' } })],
    ['of a set of that name from before', found(3, { name: 'a-222222-000003' })],
    ['without labels', found(3, { labels: {} })],
    ['with an odd id', found(3, { labels: { ...found(3).labels, 'instance-id': '-3' } })],
    ['whose address another one has by now', found(3, { address: found(0).address })],
  ];
  it.each(strangers)('leaves one %s', (_why, instance) => {
    expect(claimInstances([set], [known(0)], [found(0), instance])).toEqual({ adopt: [], orphans: [instance.name] });
  });

  it('adopts one of two with the same address', () => {
    const claims = claimInstances([set], [], [found(1), found(2, { address: found(1).address })]);
    expect([claims.adopt.length, claims.orphans]).toEqual([1, [found(2).name]]);
  });

  it('has orphans go after a minute', () => {
    const since = new Map([
      ['a', 0],
      ['b', 30_000],
    ]);
    expect(orphansToRemove(since, 59_999)).toEqual([]);
    expect(orphansToRemove(since, 60_000)).toEqual(['a']);
  });
});
