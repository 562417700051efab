/**
 * Whether the gateway does its work. Control being away is no reason against it: connections are carried with what was
 * known last, and the notes say so. Pure.
 */
import type { EpochMillis } from '../core/time.ts';
import { healthOf, type Health } from '../monitor/health.ts';
import type { ControlContact } from './control-link.ts';
import type { GatewayView } from './gateway.ts';

export interface GatewayHealth extends Health {
  control: { up: boolean; answeredAt: string | null };
  routingTable: { revision: number; appliedAt: string } | null;
  frontEnds: { open: number; closed: number };
}

/** Reasons that are shown; what is beyond them is counted. */
const mostShown = 10;

export function judgeGateway(view: GatewayView, control: ControlContact, now: EpochMillis): GatewayHealth {
  const isServing = view.phase === 'serving';
  const closed = view.routes.filter((one) => !one.isOpen);
  const reasons = [
    ...(isServing ? [] : ['The gateway stops: it takes no new connections.']),
    ...(view.table === undefined
      ? ['There is no routing table: control has not answered yet, and none is kept from before.']
      : []),
    ...(isServing
      ? closed
          .slice(0, mostShown)
          .map(({ route, failure }) => `The front end ${route.id} is not open: ${failure ?? 'it is being opened'}.`)
      : []),
    ...(isServing && closed.length > mostShown ? [`${closed.length - mostShown} more front ends are not open.`] : []),
  ];
  const notes = control.up ? [] : [awayNote(view, control, now)];
  return {
    ...healthOf('gateway', reasons, notes),
    control: { up: control.up, answeredAt: timeOf(control.answeredAt) },
    routingTable:
      view.table === undefined
        ? null
        : { revision: view.table.revision, appliedAt: new Date(view.table.appliedAt).toISOString() },
    frontEnds: { open: view.routes.length - closed.length, closed: closed.length },
  };
}

function awayNote(view: GatewayView, { answeredAt, failure }: ControlContact, now: EpochMillis): string {
  const since =
    answeredAt === undefined
      ? 'since this gateway began'
      : `for ${Math.max(0, Math.round((now - answeredAt) / 1_000))} s`;
  const meanwhile =
    view.table === undefined
      ? ''
      : ` Connections go on with the routing table of ${new Date(view.table.appliedAt).toISOString()}.`;
  return `Control has not answered ${since}${failure === undefined ? '' : ` (${failure})`}.${meanwhile}`;
}

function timeOf(at: EpochMillis | undefined): string | null {
  return at === undefined ? null : new Date(at).toISOString();
}
