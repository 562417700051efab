import { describe, expect, it } from 'vitest';
import { findTimeZone, timeZone, windowsNames, type LocalTime } from './windows-time.ts';

const local = (text: string): LocalTime => {
  const [year = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = text.split(/[-T:]/).map(Number);
  return { year, month, day, hour, minute, second };
};
const instant = (zone: string, text: string) =>
  new Date(timeZone(findTimeZone(zone) ?? '').instantOf(local(text))).toISOString();

describe('time zones', () => {
  it.each([
    ['Pacific Standard Time', 'America/Los_Angeles'],
    ['w. europe  standard time', 'Europe/Berlin'],
    ['UTC', 'UTC'],
    ['Etc/UTC', 'UTC'],
    ['Europe/Madrid', 'Europe/Madrid'],
    ['E. Europe Standard Time', 'Europe/Chisinau'],
  ])('are found by the name %s', (name, iana) => {
    expect(findTimeZone(name)).toBe(iana);
  });

  it('are all known that Windows has', () => {
    const names = windowsNames();
    expect(names.length).toBeGreaterThan(130);
    expect(names.filter((name) => findTimeZone(name) === undefined)).toEqual([]);
  });

  it('are not found by a name that nobody has', () => {
    expect(findTimeZone('Middle Earth Standard Time')).toBeUndefined();
    expect(findTimeZone('')).toBeUndefined();
  });

  it.each([
    ['in winter', 'Pacific Standard Time', '2026-01-15T06:00:00', '2026-01-15T14:00:00.000Z'],
    ['in summer', 'Pacific Standard Time', '2026-07-15T06:00:00', '2026-07-15T13:00:00.000Z'],
    ['in the south', 'AUS Eastern Standard Time', '2026-01-15T06:00:00', '2026-01-14T19:00:00.000Z'],
    ['by quarters of an hour', 'Nepal Standard Time', '2026-01-15T06:00:00', '2026-01-15T00:15:00.000Z'],
    ['at midnight', 'UTC', '2026-03-01T00:00:00', '2026-03-01T00:00:00.000Z'],
    ['just before the clocks go forward', 'Europe/Berlin', '2026-03-29T01:59:00', '2026-03-29T00:59:00.000Z'],
    [
      'that the clocks skip, as much later as they skip',
      'Europe/Berlin',
      '2026-03-29T02:30:00',
      '2026-03-29T01:30:00.000Z',
    ],
    ['just after they went forward', 'Europe/Berlin', '2026-03-29T03:00:00', '2026-03-29T01:00:00.000Z'],
    ['that the clocks show twice, the first time', 'Europe/Berlin', '2026-10-25T02:30:00', '2026-10-25T00:30:00.000Z'],
    ['after they went back', 'Europe/Berlin', '2026-10-25T03:00:00', '2026-10-25T02:00:00.000Z'],
    ['skipped in America', 'Pacific Standard Time', '2026-03-08T02:15:00', '2026-03-08T10:15:00.000Z'],
    ['twice in America', 'Pacific Standard Time', '2026-11-01T01:15:00', '2026-11-01T08:15:00.000Z'],
    [
      'by half an hour of daylight saving',
      'Lord Howe Standard Time',
      '2026-10-04T02:10:00',
      '2026-10-03T15:40:00.000Z',
    ],
  ])('tell when clocks show a time %s', (_case, zone, text, expected) => {
    expect(instant(zone, text)).toBe(expected);
  });

  it('tell what clocks show, to the second', () => {
    expect(timeZone('Europe/Berlin').localAt(Date.parse('2026-10-25T00:30:15.900Z'))).toEqual(
      local('2026-10-25T02:30:15'),
    );
    expect(timeZone('Europe/Berlin').localAt(Date.parse('2026-10-25T01:30:15.900Z'))).toEqual(
      local('2026-10-25T02:30:15'),
    );
    expect(timeZone('UTC').localAt(Date.parse('2026-01-01T00:00:00Z'))).toEqual(local('2026-01-01T00:00:00'));
  });
});
