import { describe, expect, it } from 'vitest';
import type { Backend, Route } from '../../link/routes.ts';
import { rankBackends } from './choose-backend.ts';

function backends(count: number): Backend[] {
  return Array.from({ length: count }, (_, index) => ({
    instance: `pool-${String(index)}`,
    address: `10.0.0.${String(index + 4)}`,
    port: 22,
    accepting: true,
  }));
}

function route(
  distribution: Route['distribution'],
  list: Backend[],
  publicPort = 22,
): Parameters<typeof rankBackends>[0] {
  return { distribution, publicAddress: '127.77.0.10', publicPort, backends: list };
}

const all = (): boolean => true;
const people = Array.from({ length: 2000 }, (_, index) => `192.168.${String(index >> 8)}.${String(index & 255)}`);
const first = (of: Parameters<typeof rankBackends>[0], address: string, port = 50_000): string | undefined =>
  rankBackends(of, { address, port }, all)[0]?.instance;

describe('rankBackends', () => {
  it('leaves out what does not accept and what is not healthy', () => {
    const list = backends(4).map((backend, index) => ({ ...backend, accepting: index !== 1 }));
    const ranked = rankBackends(
      route('Default', list),
      { address: '10.1.1.1', port: 1 },
      (instance) => instance !== 'pool-2',
    );
    expect(ranked.map(({ instance }) => instance).sort()).toEqual(['pool-0', 'pool-3']);
  });

  it('answers nothing where nothing is eligible', () => {
    expect(rankBackends(route('Default', backends(3)), { address: '10.1.1.1', port: 1 }, () => false)).toEqual([]);
  });

  it.each(['SourceIP', 'SourceIPProtocol'] as const)(
    '%s: one address meets one instance from every source port',
    (distribution) => {
      const of = route(distribution, backends(5));
      const met = new Set(Array.from({ length: 200 }, (_, index) => first(of, '192.168.0.7', 30_000 + index)));
      expect(met.size).toBe(1);
    },
  );

  it('SourceIP: one address meets the same instance on all ports of the front end', () => {
    for (const person of people) {
      expect(first(route('SourceIP', backends(5), 22), person)).toBe(
        first(route('SourceIP', backends(5), 8000), person),
      );
    }
  });

  it('Default: connections of one address spread over all instances', () => {
    const of = route('Default', backends(5));
    const met = new Set(Array.from({ length: 200 }, (_, index) => first(of, '192.168.0.7', 30_000 + index)));
    expect(met.size).toBe(5);
  });

  it.each(['Default', 'SourceIP'] as const)(
    '%s: each of ten instances gets its share within a third',
    (distribution) => {
      const counts = new Map<string | undefined, number>();
      people.forEach((person) => {
        const met = first(route(distribution, backends(10)), person);
        counts.set(met, (counts.get(met) ?? 0) + 1);
      });
      expect(counts.size).toBe(10);
      for (const count of counts.values()) expect(Math.abs(count - 200)).toBeLessThan(67);
    },
  );

  it('moves only the people of an instance that leaves', () => {
    const before = route('SourceIP', backends(10));
    const after = route(
      'SourceIP',
      backends(10).filter(({ instance }) => instance !== 'pool-3'),
    );
    for (const person of people) {
      const met = first(before, person);
      if (met === 'pool-3') expect(first(after, person)).not.toBe('pool-3');
      else expect(first(after, person)).toBe(met);
    }
  });

  it('moves people to an instance that joins, and nowhere else', () => {
    let moved = 0;
    for (const person of people) {
      const before = first(route('SourceIP', backends(9)), person);
      const after = first(route('SourceIP', backends(10)), person);
      if (after === before) continue;
      expect(after).toBe('pool-9');
      moved++;
    }
    expect(moved).toBeGreaterThan(100);
    expect(moved).toBeLessThan(300);
  });
});
