import { describe, expect, it } from 'vitest';
import type { Report } from '../link/routes.ts';
import { createGatewayReports } from './gateway-reports.ts';

const session = (id: string) => ({
  ...{ id, pool: 'p', user: 'ada', instance: 'i', protocol: 'ssh' as const, since: 0, client: '192.0.2.1' },
});
const report = (gateway: string, changes: Partial<Report> = {}): Report => ({
  gateway,
  pid: 1,
  phase: 'serving',
  startedAt: 0,
  revision: 1,
  probes: [{ probe: 'p', instance: 'i', healthy: true, since: 0, reason: '' }],
  connections: [{ route: 'r', instance: 'i', open: 1 }],
  sessions: [session(gateway)],
  failures: [],
  ...changes,
});
const leaving = (gateway: string) => report(gateway, { phase: 'leaving', probes: [] });
const ended = (gateway: string) => report(gateway, { phase: 'ended', probes: [], connections: [], sessions: [] });

describe('what gateways have said', () => {
  const cases: [what: string, said: [Report, number][], sessions: string[], connections: number, serve: string[]][] = [
    ['one', [[report('a'), 0]], ['a'], 1, ['a']],
    [
      'two that serve',
      [
        [report('a'), 0],
        [report('b', { startedAt: 5 }), 1],
      ],
      ['a', 'b'],
      2,
      ['b', 'a'],
    ],
    [
      'one that leaves, and its successor',
      [
        [leaving('a'), 0],
        [report('b'), 1],
      ],
      ['a', 'b'],
      2,
      ['b', 'a'],
    ],
    [
      'one that has ended, and its successor',
      [
        [report('b'), 0],
        [ended('a'), 1],
      ],
      ['b'],
      1,
      ['b'],
    ],
    [
      'one that was killed, twenty seconds later',
      [
        [report('a'), 0],
        [report('b'), 20_001],
      ],
      ['b'],
      1,
      ['b'],
    ],
    [
      'nobody after one that ended',
      [
        [report('a'), 0],
        [ended('a'), 1],
      ],
      [],
      0,
      [],
    ],
  ];
  it.each(cases)('counts %s', (_what, said, sessions, connections, serve) => {
    const reports = createGatewayReports(0);
    for (const [one, at] of said) reports.take(one, at);
    expect(reports.sessions().map(({ id }) => id)).toEqual(sessions);
    expect(reports.connections('i')).toBe(connections);
    expect(reports.present(said.at(-1)?.[1] ?? 0, 12_000).map(({ gateway }) => gateway)).toEqual(serve);
    expect(reports.healthy('p', 'i')).toBe(true); // an instance is as well as it was when nobody speaks of it
  });

  it('counts people once, whatever connections they have, and those whom nobody knows by connection', () => {
    const reports = createGatewayReports(0);
    const rows = [
      { route: 'web', instance: 'i', open: 6, ofPeople: 6 },
      { route: 'plain', instance: 'i', open: 2 },
      { route: 'web', instance: 'j', open: 1, ofPeople: 1 },
    ];
    reports.take(report('a', { connections: rows }), 0);
    expect(['i', 'j', 'k'].map((instance) => reports.sessionsOn(instance))).toEqual([3, 0, 0]);
    expect(['i', 'j', 'k'].map((instance) => reports.connections(instance))).toEqual([8, 1, 0]);
  });

  it('does not take the health of an instance from one that leaves', () => {
    const reports = createGatewayReports(0);
    reports.take(leaving('a'), 0);
    expect(reports.healthy('p', 'i')).toBeUndefined();
    reports.take(report('b', { probes: [{ probe: 'p', instance: 'i', healthy: false, since: 0, reason: '' }] }), 1);
    expect(reports.healthy('p', 'i')).toBe(false);
    expect(reports.seenAt()).toBe(1);
  });
});
