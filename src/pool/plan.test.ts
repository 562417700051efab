import { describe, expect, it } from 'vitest';
import { newInstanceState, type ExtensionState, type InstanceState } from './instance-state.ts';
import { plan } from './plan.ts';
import { scaleSetOutcome } from './scale-set-outcome.ts';
import type { AskedExtension, ScaleSetSnapshot } from './scale-set-snapshot.ts';
import type { Step } from './steps.ts';
import { instance, now, ran, ready, script, snapshot } from './test-support.ts';

const fresh = newInstanceState();
/** One that drains, and of which nothing is left to be rescued. */
const draining = (since: number, until = now + 60_000): InstanceState => ({
  ...ready,
  draining: { since, until },
  rescuedAt: since,
});

const cases: [what: string, world: ScaleSetSnapshot, steps: Step[]][] = [
  ['does nothing when all is as asked for', snapshot([instance(0), instance(1)]), []],
  [
    'tells an instance that serves of other people',
    snapshot([instance(0, { people: 'them' }), instance(1, { people: 'them', state: { ...ready, people: 'them' } })]),
    [{ step: 'provision', instanceId: 0 }],
  ],
  [
    'tells an instance that nobody may enter any more',
    snapshot([instance(0, { state: { ...ready, people: 'them' } })]),
    [{ step: 'provision', instanceId: 0 }],
  ],
  [
    'tells a draining instance of other people, for some of those on it may have to leave',
    snapshot([instance(0, { people: 'them', connections: 1, state: draining(now - 9_000) }), instance(1)], {
      capacity: 1,
    }),
    [{ step: 'provision', instanceId: 0 }],
  ],
  [
    'removes a draining instance where nobody is, whoever may enter',
    snapshot([instance(0, { people: 'them', state: draining(now - 9_000) }), instance(1)], { capacity: 1 }),
    [{ step: 'remove', instanceId: 0, reason: 'it drained and nobody is there' }],
  ],
  [
    'tells no instance of people that is switched off',
    snapshot([instance(0, { people: 'them', power: 'stopped', state: { ...ready, power: 'stopped' } })]),
    [],
  ],
  ['does nothing for an empty set', snapshot([]), []],
  ['writes down instances before anything is made', snapshot([], { capacity: 2 }), [{ step: 'allocate', count: 2 }]],
  [
    'prepares the image first, and allocates meanwhile',
    snapshot([], { capacity: 1, imageReady: false }),
    [{ step: 'prepareImage' }, { step: 'allocate', count: 1 }],
  ],
  [
    'does not prepare an image twice',
    snapshot([instance(0, { state: fresh, power: 'absent' })], { imageReady: false, imageBusy: true }),
    [],
  ],
  [
    'waits before it prepares a failed image again',
    snapshot([instance(0, { state: fresh, power: 'absent' })], { imageReady: false, imageRetryAt: now + 1 }),
    [],
  ],
  [
    'creates what is absent',
    snapshot([instance(0, { state: fresh, power: 'absent' })]),
    [{ step: 'create', instanceId: 0 }],
  ],
  ['makes a lost instance again', snapshot([instance(0, { power: 'absent' })]), [{ step: 'create', instanceId: 0 }]],
  [
    'starts what is stopped',
    snapshot([instance(0, { state: { ...fresh, created: true }, power: 'stopped' })]),
    [{ step: 'setPower', instanceId: 0, power: 'running' }],
  ],
  [
    'stops what is to be stopped',
    snapshot([instance(0, { state: { ...ready, power: 'stopped' } })]),
    [{ step: 'setPower', instanceId: 0, power: 'stopped' }],
  ],
  [
    'leaves alone what was stopped on purpose',
    snapshot([instance(0, { state: { ...ready, power: 'stopped' }, power: 'stopped' })]),
    [],
  ],
  [
    'provisions a running instance',
    snapshot([instance(0, { state: { ...fresh, created: true } })]),
    [{ step: 'provision', instanceId: 0 }],
  ],
  [
    'runs the script after that',
    snapshot([instance(0, { state: { ...ready, extensions: {} } })]),
    [{ step: 'runExtension', instanceId: 0, extension: 'files' }],
  ],
  [
    'runs again a script that was cut off',
    snapshot([instance(0, { state: { ...ready, extensions: { files: ran('running') } } })]),
    [{ step: 'runExtension', instanceId: 0, extension: 'files' }],
  ],
  [
    'does not repeat a failed script by itself',
    snapshot([instance(0, { state: { ...ready, extensions: { files: ran('failed') } } })]),
    [],
  ],
  [
    'repeats a failed script when the set was put again',
    snapshot([instance(0, { state: { ...ready, extensions: { files: ran('failed') } } })], { generation: 2 }),
    [{ step: 'runExtension', instanceId: 0, extension: 'files' }],
  ],
  ['leaves a busy instance alone', snapshot([instance(0, { state: fresh, power: 'absent', busy: true })]), []],
  [
    'waits before it repeats a failed step',
    snapshot([
      instance(0, {
        state: {
          ...fresh,
          failure: { step: 'create', code: 'X', message: '', since: 0, attempts: 1, retryAt: now + 1 },
        },
        power: 'absent',
      }),
    ]),
    [],
  ],
  [
    'drains the highest id when there is one too many',
    snapshot([instance(0), instance(1)], { capacity: 1 }),
    [{ step: 'drain', instanceId: 1, until: now + 1_800_000, by: 'scale-in' }],
  ],
  [
    'drains where nobody is rather than where somebody is',
    snapshot([instance(0), instance(1, { connections: 2 })], { capacity: 1 }),
    [{ step: 'drain', instanceId: 0, until: now + 1_800_000, by: 'scale-in' }],
  ],
  [
    'spares a protected instance',
    snapshot([instance(0), instance(1, { state: { ...ready, protectFromScaleIn: true } })], { capacity: 1 }),
    [{ step: 'drain', instanceId: 0, until: now + 1_800_000, by: 'scale-in' }],
  ],
  [
    'does not choose again while one drains',
    snapshot([instance(0, { state: draining(now - 100), connections: 1 }), instance(1)], { capacity: 1 }),
    [],
  ],
  [
    'rescues what people have on its disk before it removes one that has drained',
    snapshot(
      [instance(0), instance(1, { state: { ...ready, draining: { since: now - 1_000, until: now + 60_000 } } })],
      {
        capacity: 1,
      },
    ),
    [{ step: 'rescue', instanceId: 1 }],
  ],
  [
    'and from one that is switched off',
    snapshot(
      [
        instance(0),
        instance(1, {
          state: { ...ready, power: 'stopped', draining: { since: now - 1_000, until: now + 60_000 } },
          power: 'stopped',
        }),
      ],
      { capacity: 1 },
    ),
    [{ step: 'rescue', instanceId: 1 }],
  ],
  [
    'rescues nothing from one that was never prepared',
    snapshot([instance(0), instance(1, { state: { ...fresh, created: true, draining: { since: 0, until: now } } })], {
      capacity: 1,
    }),
    [{ step: 'remove', instanceId: 1, reason: 'it drained and nobody is there' }],
  ],
  [
    'removes a drained one when nobody is there',
    snapshot([instance(0), instance(1, { state: draining(now - 1_000) })], { capacity: 1 }),
    [{ step: 'remove', instanceId: 1, reason: 'it drained and nobody is there' }],
  ],
  [
    'keeps a draining instance while somebody is there',
    snapshot([instance(0), instance(1, { state: draining(now - 1_000), connections: 1 })], { capacity: 1 }),
    [],
  ],
  [
    'removes it when its time is over, though nobody knows who is there',
    snapshot([instance(0), instance(1, { state: draining(now - 9_000, now - 3_000), users: undefined })], {
      capacity: 1,
    }),
    [{ step: 'remove', instanceId: 1, reason: 'its time to drain is over' }],
  ],
  [
    'leaves those who are there a moment to read why',
    snapshot([instance(0), instance(1, { state: draining(now - 9_000, now - 2_999), connections: 1 })], {
      capacity: 1,
    }),
    [],
  ],
  [
    'and no longer than that',
    snapshot([instance(0), instance(1, { state: draining(now - 9_000, now - 3_000), connections: 1, users: 1 })], {
      capacity: 1,
    }),
    [{ step: 'remove', instanceId: 1, reason: 'its time to drain is over' }],
  ],
  [
    'keeps a draining instance while somebody has something running there',
    snapshot([instance(0), instance(1, { state: draining(now - 1_000), users: 1 })], { capacity: 1 }),
    [],
  ],
  [
    'keeps a draining instance while nobody can know who is there',
    snapshot([instance(0), instance(1, { state: draining(now - 1_000), users: undefined })], { capacity: 1 }),
    [],
  ],
  [
    'drains where nobody has anything running',
    snapshot([instance(0), instance(1, { users: 1 })], { capacity: 1 }),
    [{ step: 'drain', instanceId: 0, until: now + 1_800_000, by: 'scale-in' }],
  ],
  [
    'ends the draining when demand returns',
    snapshot([instance(0), instance(1, { state: draining(now - 100) })], { capacity: 2 }),
    [{ step: 'undrain', instanceId: 1 }],
  ],
  [
    'removes at once what was deleted by its id',
    snapshot(
      [
        instance(0),
        instance(1, { state: { ...ready, removal: { since: 0, reason: 'it was deleted by its id' } }, connections: 3 }),
      ],
      { capacity: 1 },
    ),
    [{ step: 'remove', instanceId: 1, reason: 'it was deleted by its id' }],
  ],
  [
    'removes everything of a set that is deleted, and makes nothing',
    snapshot([instance(0), instance(1, { state: fresh, power: 'absent' })], { capacity: 5, deleting: true }),
    [
      { step: 'remove', instanceId: 0, reason: 'the scale set is being deleted' },
      { step: 'remove', instanceId: 1, reason: 'the scale set is being deleted' },
    ],
  ],
];

describe('plan', () => {
  it.each(cases)('%s', (_what, world, steps) => {
    expect(plan(world, now)).toEqual(steps);
  });

  it('runs an extension only after those it comes after', () => {
    const second: AskedExtension = { name: 'second', version: 'v1', provisionAfter: ['files'] };
    const world = (files?: ExtensionState) =>
      snapshot([
        instance(0, {
          extensions: [second, script],
          state: { ...ready, extensions: files === undefined ? {} : { files } },
        }),
      ]);
    expect(plan(world(), now)).toEqual([{ step: 'runExtension', instanceId: 0, extension: 'files' }]);
    expect(plan(world(ran('succeeded')), now)).toEqual([{ step: 'runExtension', instanceId: 0, extension: 'second' }]);
    expect(plan(world(ran('failed')), now)).toEqual([]);
  });
});

describe('the outcome of a scale set', () => {
  const outcome = (world: ScaleSetSnapshot, at = now) => scaleSetOutcome(world, undefined, at).outcome;
  it('succeeds when everything is ready and probed', () => {
    expect(outcome(snapshot([instance(0)]))).toBe('succeeded');
  });
  it('waits for the first probes, but not for ever', () => {
    const world = snapshot([instance(0, { healthy: false })]);
    expect(outcome(world)).toBe('updating');
    expect(outcome(world, now + 30_000)).toBe('succeeded');
  });
  it('fails with the script, and says what it printed', () => {
    expect(
      scaleSetOutcome(
        snapshot([instance(0, { state: { ...ready, extensions: { files: ran('failed') } } })]),
        undefined,
        now,
      ),
    ).toMatchObject({
      outcome: 'failed',
      code: 'VMExtensionProvisioningError',
      message: expect.stringContaining('said') as string,
    });
  });
  it('waits for the others before it fails', () => {
    const failed = instance(0, { state: { ...ready, extensions: { files: ran('failed') } } });
    expect(outcome(snapshot([failed, instance(1, { state: fresh, power: 'absent' })]))).toBe('updating');
  });
  it('is not done while instances drain', () => {
    expect(outcome(snapshot([instance(0), instance(1, { state: draining(now) })], { capacity: 1 }))).toBe('updating');
  });
  it('fails with the image', () => {
    expect(
      scaleSetOutcome(snapshot([], { capacity: 1, imageReady: false }), { code: 'ImageBuildFailed', message: 'm' }, now)
        .outcome,
    ).toBe('failed');
  });
});
