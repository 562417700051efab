import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { scheduleDeployment, type StepStatus } from './schedule.ts';

const chain = [
  { key: 'a', dependsOn: [] },
  { key: 'b', dependsOn: ['a'] },
  { key: 'c', dependsOn: ['b'] },
  { key: 'x', dependsOn: [] },
];

describe('scheduleDeployment', () => {
  it.each<[string, Record<string, StepStatus>, boolean, ReturnType<typeof scheduleDeployment>]>([
    ['everything independent goes at once', {}, false, { start: ['a', 'x'], skip: [], outcome: 'running' }],
    [
      'the next goes when what it needs is done',
      { a: 'succeeded', x: 'running' },
      false,
      { start: ['b'], skip: [], outcome: 'running' },
    ],
    [
      'what depends on a failure is skipped, all the way down',
      { a: 'failed', x: 'running' },
      false,
      { start: [], skip: ['b', 'c'], outcome: 'running' },
    ],
    [
      'the rest of a failed deployment goes on',
      { a: 'failed' },
      false,
      { start: ['x'], skip: ['b', 'c'], outcome: 'running' },
    ],
    [
      'it fails when nothing runs any more',
      { a: 'failed', b: 'skipped', c: 'skipped', x: 'succeeded' },
      false,
      { start: [], skip: [], outcome: 'failed' },
    ],
    [
      'it succeeds when all have',
      { a: 'succeeded', b: 'succeeded', c: 'succeeded', x: 'succeeded' },
      false,
      { start: [], skip: [], outcome: 'succeeded' },
    ],
    [
      'a cancelled one starts nothing more, and waits for what runs',
      { a: 'running' },
      true,
      { start: [], skip: ['b', 'c', 'x'], outcome: 'running' },
    ],
    [
      'a cancelled one has ended when nothing runs',
      { a: 'succeeded', b: 'canceled', c: 'canceled', x: 'canceled' },
      true,
      { start: [], skip: [], outcome: 'canceled' },
    ],
  ])('%s', (_case, status, canceled, expected) => {
    expect(scheduleDeployment(chain, (key) => status[key] ?? 'pending', canceled)).toEqual(expected);
  });

  it('ends every deployment, whatever fails, and starts nothing before what it needs', () => {
    const graph = fc.array(fc.array(fc.nat(20), { maxLength: 3 }), { maxLength: 20 }).map((edges) =>
      edges.map((others, index) => ({
        key: String(index),
        dependsOn: others.filter((other) => other < index).map(String),
      })),
    );
    fc.assert(
      fc.property(graph, fc.infiniteStream(fc.boolean()), (resources, luck) => {
        const status = new Map<string, StepStatus>();
        for (let round = 0; round <= resources.length + 1; round += 1) {
          const { start, skip, outcome } = scheduleDeployment(resources, (key) => status.get(key) ?? 'pending', false);
          if (outcome !== 'running') {
            expect(outcome).toBe([...status.values()].every((one) => one === 'succeeded') ? 'succeeded' : 'failed');
            return;
          }
          for (const key of skip) status.set(key, 'skipped');
          for (const key of start) {
            for (const other of resources.find((one) => one.key === key)?.dependsOn ?? [])
              expect(status.get(other)).toBe('succeeded');
            status.set(key, luck.next().value === true ? 'succeeded' : 'failed');
          }
        }
        throw new Error('it never ended');
      }),
    );
  });
});
