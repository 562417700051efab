import { describe, expect, it } from 'vitest';
import { decideWake, describeWait, type Wake, type WakeInstance, type WakeSnapshot } from './wake.ts';

const one = (changes: Partial<WakeInstance> = {}): WakeInstance => ({
  instanceId: 3,
  asked: 'running',
  power: 'absent',
  leaving: false,
  failure: undefined,
  ...changes,
});
const pool = (changes: Partial<WakeSnapshot> = {}): WakeSnapshot => ({
  capacity: 0,
  switchedOff: false,
  mayWake: true,
  instances: [],
  ...changes,
});
const stopped = one({ asked: 'stopped', power: 'stopped' });

describe('waking', () => {
  it.each<[string, WakeSnapshot, Wake['wake'], RegExp]>([
    ['an empty pool gets one', pool(), 'raise', /being made/],
    ['a stopped one is started', pool({ capacity: 1, instances: [stopped] }), 'start', /starting/],
    ['one that is made is waited for', pool({ capacity: 1, instances: [one()] }), 'coming', /being made/],
    [
      'one that starts is waited for',
      pool({ capacity: 1, instances: [one({ power: 'stopped' })] }),
      'coming',
      /starting/,
    ],
    [
      'one that is prepared is waited for',
      pool({ capacity: 1, instances: [one({ power: 'running' })] }),
      'coming',
      /made ready/,
    ],
    ['one that was just asked for is waited for', pool({ capacity: 1 }), 'coming', /being made/],
    ['one that drains is kept', pool({ instances: [one({ leaving: true, power: 'running' })] }), 'raise', /being made/],
    ['one that goes is no help', pool({ capacity: 1, instances: [one({ leaving: true })] }), 'coming', /being made/],
    [
      'who switched it off meant it',
      pool({ capacity: 1, switchedOff: true, instances: [stopped] }),
      'never',
      /switched this pool off/,
    ],
    ['a pool may be told not to', pool({ mayWake: false }), 'never', /by itself/],
    [
      'a failure is told',
      pool({ capacity: 1, instances: [one({ failure: 'the disk is full' })] }),
      'coming',
      /tried again: the disk is full/,
    ],
  ])('%s', (_what, snapshot, wake, words) => {
    expect(decideWake(snapshot).wake).toBe(wake);
    expect(describeWait(snapshot, 'nobody in rotation')).toMatch(words);
  });

  it('says that a pool is full', () => {
    expect(describeWait(pool(), 'full')).toMatch(/full/);
  });
});
