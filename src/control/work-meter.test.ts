import { describe, expect, it } from 'vitest';
import { createWorkMeter } from './work-meter.ts';

const second = 1_000;

function prepare() {
  const world = { now: 1_000_000, processes: new Map<string, { ticks?: number; bytes?: number; began?: string }>() };
  const measure = createWorkMeter({
    clock: { now: () => world.now },
    list: {
      read(pid, file) {
        const found = world.processes.get(pid);
        if (found === undefined) return undefined;
        const { ticks = 0, bytes = 0, began = '77' } = found;
        if (file === 'io') return `rchar: ${bytes}\nwchar: 0\nsyscr: 5\nread_bytes: 99999\n`;
        return `${pid} (a) b (c) S 1 1 1 0 -1 4194304 9 9 9 9 ${ticks} 0 0 0 20 0 1 0 ${began} 999 9\n`;
      },
    },
  });
  const look = (milliseconds: number, pids: string[] = ['1']) => {
    world.now += milliseconds;
    return measure([{ pool: '/p', user: 'ada', instance: 'one', pids, kernels: 0 }])[0]?.activeAt;
  };
  return { world, look, set: (pid: string, process: object) => world.processes.set(pid, process) };
}

describe('what people have running', () => {
  it('is active when it is seen first, and then for as long as it computes', () => {
    const { world, look, set } = prepare();
    set('1', { ticks: 5_000 });
    expect(look(0)).toBe(world.now);
    set('1', { ticks: 5_030 });
    expect(look(10 * second)).toBe(world.now);
    const last = world.now;
    set('1', { ticks: 5_035 }); // 50 ms in 10 s
    expect(look(10 * second)).toBe(last);
    expect(look(10 * second)).toBe(last);
  });

  it('is active while it reads or writes', () => {
    const { world, look, set } = prepare();
    set('1', { bytes: 10_000_000 });
    look(0);
    const last = world.now;
    expect(look(10 * second)).toBe(last);
    set('1', { bytes: 10_000_500 });
    expect(look(10 * second)).toBe(world.now);
  });

  it('is active when it begins something, also by a process that has the number of one that has ended', () => {
    const { world, look, set } = prepare();
    set('1', { ticks: 90 });
    set('2', { ticks: 90 });
    look(0, ['1', '2']);
    set('2', { ticks: 80, began: '99' });
    expect(look(10 * second, ['1', '2'])).toBe(world.now);
    const last = world.now;
    world.processes.delete('2');
    expect(look(10 * second, ['1', '2'])).toBe(last);
  });

  it('is not measured all the time, and a pause does not make work out of little', () => {
    const { world, look, set } = prepare();
    set('1', {});
    look(0);
    const last = world.now;
    set('1', { ticks: 100 });
    expect(look(2 * second)).toBe(last);
    expect(look(98 * second)).toBe(last); // one second in a hundred
  });
});
