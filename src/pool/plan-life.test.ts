import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { newInstanceState, type Draining, type InstanceState } from './instance-state.ts';
import { plan } from './plan.ts';
import type { InstanceSnapshot, ScaleSetSnapshot } from './scale-set-snapshot.ts';
import type { Step } from './steps.ts';
import { instance, now, ran, ready, snapshot } from './test-support.ts';

const standby = (id: number, over: Partial<InstanceSnapshot> = {}) =>
  instance(id, {
    state: { ...ready, standby: { since: 0, as: 'stopped' } },
    power: 'stopped',
    inRotation: false,
    ...over,
  });
const frozen = { state: { ...ready, standby: { since: 0, as: 'frozen' as const } } };
const asked = (count: number, room = 10): Partial<ScaleSetSnapshot> => ({ standby: { count, as: 'stopped', room } });
const repairs = (action: 'Replace' | 'Reimage' | 'Restart'): Partial<ScaleSetSnapshot> => ({
  repairs: { action, graceMilliseconds: 600_000 },
});
const ill = { healthy: false, inRotation: false, unhealthySince: now - 600_000 };
/** It was prepared long ago. */
const long: InstanceState = { ...ready, provisionedAt: 0, extensions: { files: ran('succeeded', { endedAt: 0 }) } };
const drained = (by: Draining['by'], over: Partial<Draining> = {}): InstanceState => ({
  ...ready,
  draining: { since: now - 1_000, until: now + 60_000, ...(by === undefined ? {} : { by }), ...over },
  rescuedAt: now - 1,
});

const cases: [what: string, world: ScaleSetSnapshot, steps: Step[]][] = [
  [
    'fills up standby instances one after the other',
    snapshot([instance(0)], asked(2)),
    [{ step: 'allocate', count: 1, standby: 'stopped' }],
  ],
  [
    'does so only once the capacity is made',
    snapshot([instance(0, { power: 'absent', state: newInstanceState() })], asked(2)),
    [{ step: 'create', instanceId: 0 }],
  ],
  [
    'has no more of them than the memory allows',
    snapshot([instance(0), standby(1)], { ...asked(5, 1), capacity: 1 }),
    [],
  ],
  [
    'gives memory back that the capacity needs now',
    snapshot([instance(0), standby(1), standby(2)], { ...asked(2, 1), capacity: 1 }),
    [{ step: 'remove', instanceId: 2, reason: 'it is no longer wanted as a standby' }],
  ],
  [
    'brings a standby to rest once it serves',
    snapshot([standby(0, { power: 'running' })], { ...asked(1), capacity: 0 }),
    [{ step: 'setPower', instanceId: 0, power: 'stopped' }],
  ],
  [
    'does not freeze one that is not ready',
    snapshot(
      [standby(0, { power: 'running', healthy: false, ...frozen, state: { ...frozen.state, provisionedAt: now } })],
      {
        standby: { count: 1, as: 'frozen', room: 9 },
        capacity: 0,
      },
    ),
    [],
  ],
  [
    'prepares a standby as every instance',
    snapshot([standby(0, { state: { ...newInstanceState(), created: true, standby: { since: 0, as: 'stopped' } } })], {
      ...asked(1),
      capacity: 0,
    }),
    [{ step: 'setPower', instanceId: 0, power: 'running' }],
  ],
  ['lets a standby alone that is at rest', snapshot([instance(0), standby(1)], { ...asked(1), capacity: 1 }), []],
  [
    'has a standby join before it makes anything',
    snapshot([instance(0), standby(1)], { ...asked(1), capacity: 3 }),
    [
      { step: 'join', instanceId: 1 },
      { step: 'allocate', count: 1 },
    ],
  ],
  [
    'prefers who joins soonest: the frozen one before the stopped one before the one that is being made',
    snapshot([standby(1, { power: 'absent' }), standby(2), standby(3, { ...frozen, power: 'frozen' })], {
      ...asked(3),
      capacity: 1,
    }),
    [
      { step: 'join', instanceId: 3 },
      { step: 'create', instanceId: 1 },
    ],
  ],
  [
    'replaces a standby of an older model',
    snapshot([standby(0, { behind: 'machine' })], { ...asked(1), capacity: 0 }),
    [{ step: 'remove', instanceId: 0, reason: 'it is no longer wanted as a standby' }],
  ],

  [
    'takes no machine from somebody who works on it, where a rule scales',
    snapshot([instance(0, { users: 1 }), instance(1, { users: 1 })], { capacity: 1, automatic: true }),
    [],
  ],
  [
    'nor one of which nobody knows',
    snapshot([instance(0, { users: undefined, active: undefined })], { capacity: 0, automatic: true }),
    [],
  ],
  [
    'takes one where people are idle',
    snapshot([instance(0, { users: 1 }), instance(1, { users: 1, active: 0 })], { capacity: 1, automatic: true }),
    [{ step: 'drain', instanceId: 1, until: now + 1_800_000, by: 'scale-in' }],
  ],
  [
    'ends the draining when they work again',
    snapshot([instance(0, { users: 1 }), instance(1, { users: 1, state: drained('scale-in') })], {
      capacity: 1,
      automatic: true,
    }),
    [{ step: 'undrain', instanceId: 1 }],
  ],
  [
    'takes where nobody is before where people are idle before where they work',
    snapshot([instance(0), instance(1, { users: 1, active: 0 }), instance(2, { users: 1 })], { capacity: 1 }),
    [
      { step: 'drain', instanceId: 0, until: now + 1_800_000, by: 'scale-in' },
      { step: 'drain', instanceId: 1, until: now + 1_800_000, by: 'scale-in' },
    ],
  ],
  [
    'does not overwrite an operator’s own drain by a rule',
    snapshot([instance(0), instance(1, { state: drained('operator') })], { capacity: 1, automatic: true }),
    [{ step: 'drain', instanceId: 0, until: now + 1_800_000, by: 'scale-in' }],
  ],
  [
    'nor ends it, whatever the capacity becomes',
    snapshot([instance(0, { state: drained('operator') })], { capacity: 1 }),
    [],
  ],
  [
    'keeps what an operator drains, for it is theirs to say what comes',
    snapshot([instance(0, { state: drained('operator', { since: 0, until: 1 }) })], { capacity: 1 }),
    [],
  ],

  [
    'replaces what its probes have not reached for the grace period',
    snapshot([instance(0, { ...ill, state: long }), instance(1)], repairs('Replace')),
    [{ step: 'drain', instanceId: 0, until: now + 1_800_000, by: 'repair' }],
  ],
  [
    'gives it the grace period',
    snapshot([instance(0, { ...ill, unhealthySince: now - 599_999, state: long })], repairs('Replace')),
    [],
  ],
  [
    'gives one that has just been prepared its time',
    snapshot([instance(0, { ...ill, state: { ...ready, provisionedAt: now - 1_000 } })], repairs('Replace')),
    [],
  ],
  ['repairs nothing by itself where nothing says so', snapshot([instance(0, { ...ill, state: long })]), []],
  [
    'repairs one at a time of few',
    snapshot(
      [instance(0, { ...ill, state: drained('repair'), users: 1 }), instance(1, { ...ill, state: long })],
      repairs('Replace'),
    ),
    [],
  ],
  [
    'removes what it repairs by another',
    snapshot([instance(0, { ...ill, state: drained('repair') })], repairs('Replace')),
    [{ step: 'remove', instanceId: 0, reason: 'its probes or its mounts fail: it is replaced' }],
  ],
  [
    'makes it anew where the policy says so',
    snapshot([instance(0, { ...ill, state: drained('repair') })], repairs('Reimage')),
    [{ step: 'remake', instanceId: 0, model: 'own', reason: 'its probes or its mounts fail: it is repaired' }],
  ],
  [
    'restarts it where the policy says so',
    snapshot([instance(0, { ...ill, state: long })], repairs('Restart')),
    [{ step: 'restart', instanceId: 0, reason: 'its probes or its mounts fail: it is repaired' }],
  ],
  [
    'leaves it when it has become well',
    snapshot([instance(0, { state: drained('repair') })], repairs('Replace')),
    [{ step: 'undrain', instanceId: 0 }],
  ],

  [
    'restarts what was to be restarted',
    snapshot([instance(0, { state: { ...ready, restart: { since: now } }, users: 1 })]),
    [{ step: 'restart', instanceId: 0, reason: 'it was to be restarted' }],
  ],
  [
    'restarts it while it drains, too',
    snapshot([instance(0, { state: { ...drained('operator'), restart: { since: now } } })]),
    [{ step: 'restart', instanceId: 0, reason: 'it was to be restarted' }],
  ],
  [
    'restarts what it repairs without a rescue, for nothing is lost',
    snapshot(
      [instance(0, { ...ill, state: { ...ready, draining: { since: now - 1_000, until: now + 1, by: 'repair' } } })],
      repairs('Restart'),
    ),
    [{ step: 'restart', instanceId: 0, reason: 'its probes or its mounts fail: it is repaired' }],
  ],
  [
    'repairs another while one waits for room for its files',
    snapshot(
      [
        instance(0, {
          ...ill,
          state: {
            ...ready,
            draining: { since: 0, until: 1, by: 'repair' },
            failure: { step: 'rescue', code: 'X', message: '', since: 0, attempts: 3, retryAt: now + 1 },
          },
        }),
        instance(1, { ...ill, state: long }),
      ],
      repairs('Replace'),
    ),
    [{ step: 'drain', instanceId: 1, until: now + 1_800_000, by: 'repair' }],
  ],
  [
    'makes anew what was reimaged, at once, whoever is there',
    snapshot([instance(0, { state: { ...ready, remake: { since: now, reason: 'it was reimaged' } }, users: 1 })]),
    [{ step: 'remake', instanceId: 0, model: 'own', reason: 'it was reimaged' }],
  ],
  [
    'tells an instance before it is terminated, for as long as its scale set says',
    snapshot([instance(0, { state: drained('delete', { until: now + 299_000 }) })], {
      capacity: 0,
      noticeMilliseconds: 300_000,
    }),
    [],
  ],
  [
    'terminates it then',
    snapshot([instance(0, { state: { ...ready, draining: { since: now - 300_000, until: now, by: 'delete' } } })], {
      capacity: 0,
      noticeMilliseconds: 300_000,
    }),
    [{ step: 'remove', instanceId: 0, reason: 'it was deleted by its id' }],
  ],
  [
    'does not count what was deleted, and does not bring it back',
    snapshot([instance(0, { state: drained('delete'), users: 1 })], { capacity: 1 }),
    [{ step: 'allocate', count: 1 }],
  ],
  [
    'tells those that it evicts half a minute before, where nobody is first',
    snapshot([instance(0, { users: 1 }), instance(1), instance(2, { users: 1, active: 0 })], { evictions: 2 }),
    [
      { step: 'drain', instanceId: 1, until: now + 30_000, by: 'eviction' },
      { step: 'drain', instanceId: 2, until: now + 30_000, by: 'eviction' },
    ],
  ],
  [
    'evicts none that an operator drains',
    snapshot([instance(0, { state: drained('operator') }), instance(1)], { evictions: 2 }),
    [{ step: 'drain', instanceId: 1, until: now + 30_000, by: 'eviction' }],
  ],
  [
    'evicts no more while some go already',
    snapshot([instance(0), instance(1, { state: drained('eviction'), users: 1 })], { evictions: 1 }),
    [],
  ],
  [
    'switches off what it evicts, or removes it',
    snapshot([instance(0, { state: drained('eviction') })], { evictions: 1, evictionPolicy: 'Delete' }),
    [{ step: 'evict', instanceId: 0, policy: 'Delete' }],
  ],
];

describe('the life of instances', () => {
  it.each(cases)('%s', (_what, world, steps) => {
    expect(plan(world, now)).toEqual(steps);
  });

  it('never takes an instance where somebody works, where a rule scales', () => {
    const instances = fc
      .array(fc.record({ users: fc.nat(2), idle: fc.boolean(), isDraining: fc.boolean() }), { maxLength: 8 })
      .map((all) =>
        all.map(({ users, idle, isDraining }, id) =>
          instance(id, {
            users,
            active: idle ? 0 : users,
            ...(isDraining ? { state: drained('scale-in') } : {}),
          }),
        ),
      );
    fc.assert(
      fc.property(instances, fc.nat(8), (all, capacity) => {
        const steps = plan(snapshot(all, { capacity, automatic: true }), now);
        const busy = new Set(all.filter(({ active }) => (active ?? 1) > 0).map(({ instanceId }) => instanceId));
        const taken = steps.filter(({ step }) => step === 'drain' || step === 'remove' || step === 'remake');
        expect(taken.filter((step) => 'instanceId' in step && busy.has(step.instanceId))).toEqual([]);
      }),
    );
  });

  it('has at most as many instances as are asked for, whatever is standing by', () => {
    fc.assert(
      fc.property(fc.nat(5), fc.nat(5), fc.nat(8), (members, waiting, capacity) => {
        const all = [
          ...Array.from({ length: members }, (_, id) => instance(id)),
          ...Array.from({ length: waiting }, (_, id) => standby(members + id)),
        ];
        const steps = plan(snapshot(all, { ...asked(3), capacity }), now);
        const joined = steps.filter(({ step }) => step === 'join').length;
        const made = steps.reduce(
          (sum, one) => sum + (one.step === 'allocate' && one.standby === undefined ? one.count : 0),
          0,
        );
        expect(members + joined + made).toBe(Math.max(members, capacity));
      }),
    );
  });
});
