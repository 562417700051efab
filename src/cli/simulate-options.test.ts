import { describe, expect, it } from 'vitest';
import { readSource, readStandby } from './simulate-options.ts';

describe('where sessions come from', () => {
  it.each([
    ['recorded', { from: 'recorded' }],
    ['generated', { from: 'generated', people: 200, days: 1, seed: 1 }],
    ['generated:people=50,days=7,seed=3', { from: 'generated', people: 50, days: 7, seed: 3 }],
    ['generated: days=2', { from: 'generated', people: 200, days: 2, seed: 1 }],
    ['week.csv', { from: 'file', file: 'week.csv' }],
  ])('%s', (text, source) => {
    expect(readSource(text)).toEqual(source);
  });

  it.each([
    ['generated:peopel=5', `no 'peopel'`],
    ['generated:people=0', 'from 1 to 5000'],
    ['generated:days=many', 'whole number'],
    ['generated:days', 'whole number'],
  ])('%s is refused', (text, why) => {
    expect(() => readSource(text)).toThrow(why);
  });
});

describe('standby', () => {
  it.each([
    ['2', { count: 2, as: 'stopped' }],
    ['3:frozen', { count: 3, as: 'frozen' }],
    ['0:stopped', { count: 0, as: 'stopped' }],
  ])('%s', (text, standby) => {
    expect(readStandby(text)).toEqual(standby);
  });

  it.each(['', 'two', '-1', '2:warm', '2:frozen:now'])('%j is refused', (text) => {
    expect(() => readStandby(text)).toThrow('--standby');
  });
});
