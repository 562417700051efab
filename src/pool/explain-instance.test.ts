import { describe, expect, it } from 'vitest';
import { explainInstance, type PersonFacts, type PresentFacts } from './explain-instance.ts';

const minute = 60_000;
const now = Date.UTC(2026, 10, 26, 12);
const state = { power: 'running' as const, protectFromScaleIn: false, protectFromScaleSetActions: false };
const ada: PersonFacts = {
  ...{ user: 'ada', sessions: 1, kernels: 0, processes: 1, keptUntil: undefined, activeAt: now },
};
const plain: PresentFacts = {
  ...{ power: 'running', inRotation: true, mounts: '', createdAt: Date.UTC(2026, 10, 26, 9), state },
  ...{ capacity: 2, staying: 2, automatic: undefined, switchedOff: false, idleMilliseconds: 120 * minute },
  ...{ people: [], connections: 0 },
};
const draining = { since: now - minute, until: now + 30 * minute };

interface Case {
  what: string;
  facts: Partial<PresentFacts>;
  stands?: RegExp;
  because?: RegExp;
  stops?: RegExp;
}

const cases: Case[] = [
  {
    what: 'whose number it is',
    facts: {},
    stands: /^team000001 of sharedpool is in rotation, and was made 2026-11-26 09:00Z/,
    because: /2 instances are asked for, and 2 are there to stay\. It is the operator's number/,
    stops: /Nobody is there: any smaller capacity may take it/,
  },
  {
    what: 'what is wrong with its mounts',
    facts: { inRotation: false, mounts: 'the share team/notebooks is not mounted at /mnt/shared' },
    stands: /runs, and is not in rotation/,
    because: /Nobody new is sent to it, and who is on it stays: the share team\/notebooks is not mounted at/,
  },
  {
    what: 'that autoscale has chosen it',
    facts: { capacity: 3, staying: 3, automatic: { by: 'autoscale', from: 1, operators: 1 } },
    because: /autoscale has changed it from 1\. The operator's own number is 1/,
  },
  {
    what: 'that somebody woke the pool',
    facts: { capacity: 1, staying: 1, automatic: { by: 'wake', from: 0, operators: 0 } },
    because: /1 instance is asked for, and 1 is there to stay: waking the pool has changed it from 0/,
  },
  {
    what: 'who works there',
    facts: { people: [{ ...ada, sessions: 2, kernels: 1, processes: 2 }] },
    because: /ada has 2 sessions, 1 kernel and 2 other processes here, and is active\./,
    stops: /An automatic scale-in takes others first, for here works ada/,
  },
  {
    what: 'since when somebody is idle',
    facts: { people: [{ ...ada, activeAt: now - 150 * minute }] },
    because: /ada has 1 session and 1 process here, and is idle: nothing moved for 2 hours/,
    stops: /everybody here is idle\. They are told before, and may keep it/,
  },
  {
    what: 'when somebody was active last',
    facts: { people: [{ ...ada, sessions: 0, processes: 1, activeAt: now - 45 * minute }] },
    because: /ada has 1 process here, and was active 45 minutes ago/,
    stops: /Somebody is idle after 2 hours in which nothing of theirs moved, and without a lease/,
  },
  {
    what: 'that somebody keeps it',
    facts: { people: [{ ...ada, sessions: 0, processes: 0, activeAt: 0, keptUntil: now + 60 * minute }] },
    because: /ada has a lease until 2026-11-26 13:00Z here\./,
    stops: /takes others first, for here works ada/,
  },
  {
    what: 'who is waited for while it drains',
    facts: { state: { ...state, draining }, people: [ada], connections: 2 },
    stands: /drains/,
    stops: /goes when ada and 2 connections of nobody known have left it, or at 2026-11-26 12:30Z/,
  },
  {
    what: 'that a drained one goes',
    facts: { state: { ...state, draining } },
    stops: /nobody is there: it goes now/,
  },
  {
    what: 'that it stays until files are rescued',
    facts: {
      state: {
        ...state,
        draining,
        failure: {
          ...{ step: 'remove', code: 'Unavailable', message: 'ada: No space left on device' },
          ...{ since: now - minute, attempts: 3, retryAt: now },
        },
      },
    },
    because: /\(remove\) has failed since 2026-11-26 11:59Z, 3 times: ada: No space left/,
    stops: /goes when what is on it could be rescued/,
  },
  {
    what: 'that it is being removed',
    facts: { state: { ...state, removal: { since: now, reason: 'it was deleted by its id' } } },
    stands: /is being removed/,
    stops: /goes at once, whoever is there: it was deleted by its id/,
  },
  {
    what: 'that it was stopped',
    facts: { power: 'stopped', inRotation: false, state: { ...state, power: 'stopped' } },
    stands: /is stopped/,
    because: /stays so until somebody starts it/,
  },
  {
    what: 'that the pool was switched off',
    facts: { power: 'stopped', switchedOff: true, state: { ...state, power: 'stopped' } },
    because: /switched the whole pool off/,
  },
  {
    what: 'that it is in standby',
    facts: { power: 'frozen', state: { ...state, standby: {} } },
    stands: /is in standby/,
    because: /joins the others when it is wanted/,
  },
  {
    what: 'that it is protected',
    facts: { state: { ...state, protectFromScaleIn: true } },
    stops: /protected from scale-in by its operator/,
  },
  { what: 'that it is not there yet', facts: { power: 'absent', inRotation: false }, stands: /is not there yet/ },
];

describe('an instance', () => {
  it.each(cases)('says $what', ({ facts, stands, because, stops }) => {
    const present = { ...plain, ...facts };
    const said = explainInstance({ hostname: 'team000001', pool: 'sharedpool', present, history: [] }, now);
    if (stands !== undefined) expect(said.stands).toMatch(stands);
    if (because !== undefined) expect(said.because.join('\n')).toMatch(because);
    if (stops !== undefined) expect(said.stops.join('\n')).toMatch(stops);
  });

  it('that is gone says why, as far as that is remembered', () => {
    const history = [{ at: now, message: 'team000001 was removed: it drained and nobody is there.' }];
    const gone = { hostname: 'team000001', pool: 'sharedpool', present: undefined };
    expect(explainInstance({ ...gone, history }, now)).toEqual({
      stands: 'team000001 of sharedpool is gone.',
      because: ['2026-11-26 12:00Z: team000001 was removed: it drained and nobody is there.'],
      stops: [],
    });
    expect(explainInstance({ ...gone, history: [] }, now).because).toEqual(['Nobody remembers why.']);
  });
});
