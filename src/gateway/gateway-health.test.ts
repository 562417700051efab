import { describe, expect, it } from 'vitest';
import type { ControlContact } from './control-link.ts';
import { judgeGateway } from './gateway-health.ts';
import type { GatewayView, RouteView } from './gateway.ts';
import { tcpRoute } from './test-support.ts';

const now = Date.UTC(2026, 0, 1, 12);
const there: ControlContact = { up: true, answeredAt: now - 1_000, failure: undefined };
const away: ControlContact = { up: false, answeredAt: now - 90_000, failure: 'connect ENOENT' };
const open = (port: number): RouteView => ({
  route: tcpRoute(port, []),
  isOpen: true,
  failure: undefined,
  instances: { in_rotation: 0, failing: 0, held_back: 0 },
});
const view = (changes: Partial<GatewayView> = {}): GatewayView => ({
  table: { revision: 7, appliedAt: now - 3_600_000 },
  routes: [open(1), open(2)],
  maxConnections: 10,
  phase: 'serving',
  ...changes,
});

describe('the health of a gateway', () => {
  it('is good while its front ends are open', () => {
    expect(judgeGateway(view(), there, now)).toEqual({
      process: 'gateway',
      healthy: true,
      reasons: [],
      notes: [],
      control: { up: true, answeredAt: '2026-01-01T11:59:59.000Z' },
      routingTable: { revision: 7, appliedAt: '2026-01-01T11:00:00.000Z' },
      frontEnds: { open: 2, closed: 0 },
    });
  });

  it('is good without a front end: there is nothing to serve', () => {
    expect(judgeGateway(view({ routes: [] }), there, now).healthy).toBe(true);
  });

  it('stays good while control is away, and says so', () => {
    expect(judgeGateway(view(), away, now)).toMatchObject({
      healthy: true,
      notes: [
        'Control has not answered for 90 s (connect ENOENT). Connections go on with the routing table of 2026-01-01T11:00:00.000Z.',
      ],
      control: { up: false, answeredAt: '2026-01-01T11:58:30.000Z' },
    });
  });

  it('is bad without a routing table', () => {
    const never: ControlContact = { up: false, answeredAt: undefined, failure: undefined };
    expect(judgeGateway(view({ table: undefined, routes: [] }), never, now)).toMatchObject({
      healthy: false,
      reasons: ['There is no routing table: control has not answered yet, and none is kept from before.'],
      notes: ['Control has not answered since this gateway began.'],
      routingTable: null,
    });
  });

  it('is bad with a front end that is not open, and names it', () => {
    const closed = { ...open(2), isOpen: false, failure: 'cannot listen on port 2: EADDRINUSE' };
    expect(judgeGateway(view({ routes: [open(1), closed] }), there, now)).toMatchObject({
      healthy: false,
      reasons: ['The front end route-2 is not open: cannot listen on port 2: EADDRINUSE.'],
      frontEnds: { open: 1, closed: 1 },
    });
  });

  it('names ten, and counts the others', () => {
    const routes = Array.from({ length: 12 }, (_, index) => ({ ...open(index + 1), isOpen: false }));
    const { reasons } = judgeGateway(view({ routes }), there, now);
    expect(reasons).toHaveLength(11);
    expect(reasons.at(-1)).toBe('2 more front ends are not open.');
  });

  it('is bad while it stops', () => {
    const routes = [{ ...open(1), isOpen: false }];
    expect(judgeGateway(view({ phase: 'ended', routes }), there, now).reasons).toEqual([
      'The gateway stops: it takes no new connections.',
    ]);
  });
});
