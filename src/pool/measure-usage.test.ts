import { describe, expect, it } from 'vitest';
import { measureUsage, type UsageReading } from './measure-usage.ts';

const reading = (at: number, changes: Partial<UsageReading> = {}): UsageReading => ({
  ...{ at, cpuSeconds: 0, memoryBytes: 25, memoryLimitBytes: 100, networkInBytes: 0, networkOutBytes: 0 },
  ...{ diskReadBytes: 0, diskWriteBytes: 0, ...changes },
});

describe('what an instance uses', () => {
  it('is the difference to the reading before: CPU in percent of all its CPUs, the rest in bytes', () => {
    const before = reading(0, { cpuSeconds: 100, networkInBytes: 5, networkOutBytes: 6, diskReadBytes: 7 });
    const now = reading(10_000, {
      ...{ cpuSeconds: 105, networkInBytes: 15, networkOutBytes: 26, diskReadBytes: 37, diskWriteBytes: 40 },
    });
    expect(measureUsage(before, now, 2)).toEqual({
      'Percentage CPU': 25,
      'Available Memory Bytes': 75,
      'Percentage Memory': 25,
      'Network In Total': 10,
      'Network Out Total': 20,
      'Disk Read Bytes': 30,
      'Disk Write Bytes': 40,
    });
  });

  it('is only its memory at the first reading, and after a gap', () => {
    const memory = { 'Available Memory Bytes': 75, 'Percentage Memory': 25 };
    expect(measureUsage(undefined, reading(0), 1)).toEqual(memory);
    expect(measureUsage(reading(0), reading(120_001, { cpuSeconds: 5 }), 1)).toEqual(memory);
    expect(measureUsage(reading(10), reading(10), 1)).toEqual(memory);
  });

  it('is all that was counted when it has started again', () => {
    const before = reading(0, { cpuSeconds: 900, networkInBytes: 1_000 });
    expect(measureUsage(before, reading(10_000, { cpuSeconds: 1, networkInBytes: 8 }), 1)).toMatchObject({
      ...{ 'Percentage CPU': 10, 'Network In Total': 8 },
    });
  });

  it('is never more than all of its CPUs, and no share of a limit that is not known', () => {
    const now = reading(1_000, { cpuSeconds: 50, memoryBytes: 10, memoryLimitBytes: 0 });
    const measured = measureUsage(reading(0), now, 4);
    expect(measured['Percentage CPU']).toBe(100);
    expect(measured['Available Memory Bytes']).toBe(0);
    expect(measured).not.toHaveProperty('Percentage Memory');
  });
});
