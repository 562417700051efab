import { describe, expect, it } from 'vitest';
import type { InstanceState } from './instance-state.ts';
import { plan } from './plan.ts';
import { isFaulted } from './plan-upgrade.ts';
import type { InstanceSnapshot, ScaleSetSnapshot, UpgradePolicy } from './scale-set-snapshot.ts';
import type { Step } from './steps.ts';
import { instance, now, ran, ready, snapshot } from './test-support.ts';

const policy = (mode: UpgradePolicy['mode'], over: Partial<UpgradePolicy> = {}): Partial<ScaleSetSnapshot> => ({
  upgrade: {
    ...{ mode, maxBatchPercent: 20, maxUnhealthyPercent: 20, maxUnhealthyUpgradedPercent: 20 },
    ...{ pauseMilliseconds: 0, canceled: false },
    ...over,
  },
});
const old = (id: number, over: Partial<InstanceSnapshot> = {}) => instance(id, { behind: 'machine', ...over });
const taken: InstanceState = { ...ready, draining: { since: now - 1_000, by: 'upgrade' }, rescuedAt: now - 1 };
const upgraded: InstanceState = { ...ready, upgradedAt: now - 20_000 };
const longAgo = { provisionedAt: 0, extensions: { files: ran('succeeded', { endedAt: 0 }) } };
const drain = (instanceId: number): Step => ({ step: 'drain', instanceId, by: 'upgrade' });
const range = (count: number, make: (id: number) => InstanceSnapshot) =>
  Array.from({ length: count }, (_, id) => make(id));

const cases: [what: string, world: ScaleSetSnapshot, steps: Step[]][] = [
  ['leaves instances as they are where the policy is Manual', snapshot([old(0), old(1)], policy('Manual')), []],
  [
    'gives those that somebody named the latest model, whatever the policy',
    snapshot([old(0, { state: { ...ready, upgrade: { since: now } } }), old(1)], policy('Manual')),
    [{ ...drain(0), until: now + 1_800_000 } as Step],
  ],
  [
    'changes at once what can be changed while they run, with people on them',
    snapshot([old(0, { behind: 'settings', users: 2 }), old(1, { behind: 'settings' })], policy('Automatic')),
    [
      { step: 'upgrade', instanceId: 0 },
      { step: 'upgrade', instanceId: 1 },
    ],
  ],
  [
    'begins with all where nobody is, where the policy is Automatic',
    snapshot([old(0), old(1), old(2)], policy('Automatic')),
    [drain(0), drain(1), drain(2)],
  ],
  [
    'makes one anew once the gateway has heard of it',
    snapshot([old(0, { state: taken })], policy('Automatic')),
    [{ step: 'remake', instanceId: 0, model: 'latest', reason: 'it gets the latest model' }],
  ],
  [
    'brings what people have on its disk into their workspaces first',
    snapshot([old(0, { state: { ...ready, draining: { since: now - 1_000, by: 'upgrade' } } })], policy('Automatic')),
    [{ step: 'rescue', instanceId: 0 }],
  ],
  [
    'takes a fifth at a time where the policy is Rolling',
    snapshot(
      range(10, (id) => old(id)),
      policy('Rolling'),
    ),
    [drain(0), drain(1)],
  ],
  ['takes one of few', snapshot([old(0), old(1)], policy('Rolling')), [drain(0)]],
  [
    'waits for the batch before',
    snapshot([instance(0, { state: upgraded, healthy: false, inRotation: false }), old(1), old(2)], policy('Rolling')),
    [],
  ],
  [
    'goes on when the batch before serves',
    snapshot([instance(0, { state: upgraded }), old(1), old(2)], policy('Rolling')),
    [drain(1)],
  ],
  [
    'pauses between two batches',
    snapshot(
      [instance(0, { state: { ...upgraded, provisionedAt: now - 9_000 } }), old(1)],
      policy('Rolling', { pauseMilliseconds: 10_000 }),
    ),
    [],
  ],
  [
    'stops when too many of all are ill',
    snapshot(
      [
        old(0, { healthy: false, inRotation: false, unhealthySince: now - 60_000, state: { ...ready, ...longAgo } }),
        old(1),
        old(2),
      ],
      policy('Rolling'),
    ),
    [],
  ],
  [
    'ends no session: one with people drains as long as they are there, while another serves',
    snapshot([old(0, { users: 1 }), old(1, { users: 1 })], policy('Rolling')),
    [drain(0)],
  ],
  [
    'and is not removed however long that lasts',
    snapshot(
      [old(0, { users: 1, state: { ...taken, draining: { since: 0, by: 'upgrade' } } }), old(1, { users: 1 })],
      policy('Rolling'),
    ),
    [],
  ],
  [
    'does not drain the only one that serves',
    snapshot([old(0, { users: 1 }), old(1, { users: 1, inRotation: false, healthy: false })], policy('Rolling')),
    [],
  ],
  [
    'is not held up by one that waits for its people',
    snapshot([old(0, { users: 1, state: taken }), old(1), old(2, { users: 1 })], policy('Rolling')),
    [drain(1)],
  ],
  [
    'spares what is protected from what is done to the set',
    snapshot([old(0, { state: { ...ready, protectFromScaleSetActions: true } })], policy('Automatic')),
    [],
  ],
  [
    'gives back what it has taken when it is cancelled',
    snapshot([old(0, { users: 1, state: taken }), old(1)], policy('Rolling', { canceled: true })),
    [{ step: 'undrain', instanceId: 0 }],
  ],
  [
    'gives back what is no longer outdated',
    snapshot([instance(0, { state: taken, users: 1 })], policy('Rolling')),
    [{ step: 'undrain', instanceId: 0 }],
  ],
  [
    'lets alone what is switched off, until it is started',
    snapshot(
      [old(0, { state: { ...ready, power: 'stopped' }, power: 'stopped', inRotation: false }), old(1)],
      policy('Rolling'),
    ),
    [drain(1)],
  ],
  [
    'is not held up by one that was upgraded and is switched off since',
    snapshot(
      [instance(0, { state: { ...upgraded, power: 'stopped' }, power: 'stopped', inRotation: false }), old(1)],
      policy('Rolling'),
    ),
    [drain(1)],
  ],
  [
    'makes anew what its operator drains when somebody names it and nobody is there',
    snapshot(
      [
        old(0, {
          state: { ...taken, draining: { since: 0, by: 'operator' }, upgrade: { since: now } },
        }),
      ],
      policy('Manual'),
    ),
    [{ step: 'remake', instanceId: 0, model: 'latest', reason: 'it gets the latest model' }],
  ],
  [
    'waits before it tries again what has failed with one',
    snapshot(
      [
        old(0, {
          state: {
            ...ready,
            draining: { since: 0, by: 'operator' },
            upgrade: { since: now },
            failure: { step: 'rescue', code: 'X', message: '', since: 0, attempts: 1, retryAt: now + 1 },
          },
        }),
      ],
      policy('Manual'),
    ),
    [],
  ],
  [
    'forgets that somebody has named one when it is of the latest model all the same',
    snapshot([instance(0, { state: { ...ready, upgrade: { since: now } } })], policy('Manual')),
    [{ step: 'upgrade', instanceId: 0 }],
  ],
  [
    'gives an instance one step at a time, though several have something to say',
    snapshot([old(0, { behind: 'settings' }), old(1)], { ...policy('Automatic'), capacity: 1 }),
    [
      { step: 'drain', instanceId: 1, until: now + 1_800_000, by: 'scale-in' },
      { step: 'upgrade', instanceId: 0 },
    ],
  ],
  [
    'makes what is lost from the latest model at once',
    snapshot([old(0, { power: 'absent', inRotation: false })], policy('Automatic')),
    [{ step: 'upgrade', instanceId: 0 }],
  ],
];

describe('an upgrade', () => {
  it.each(cases)('%s', (_what, world, steps) => {
    expect(plan(world, now)).toEqual(steps);
  });

  it('is faulted by what it made itself, too', () => {
    const ill = { healthy: false, inRotation: false, unhealthySince: now - 60_000 };
    const members = [instance(0, { state: { ...upgraded, ...longAgo }, ...ill }), ...range(9, (id) => old(id + 1))];
    expect(isFaulted(snapshot(members, policy('Rolling')), members, now)).toBe(true);
    const lenient = policy('Rolling', { maxUnhealthyUpgradedPercent: 100 });
    expect(isFaulted(snapshot(members, lenient), members, now)).toBe(false);
  });
});
