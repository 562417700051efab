/** What the gateways have said last. Kept in memory only: they say it again within seconds. */
import type { Report } from '../link/routes.ts';

export interface GatewayReports {
  take(report: Report, now: number): boolean;
  healthy(probeId: string, instance: string): boolean | undefined;
  connections(instance: string): number;
  /** When the newest report came. */
  seenAt(): number | undefined;
  /** The newest report, when it is not older than `maximumAge` milliseconds. */
  latest(now: number, maximumAge: number): Report | undefined;
}

export function createGatewayReports(): GatewayReports {
  let latest: { report: Report; at: number } | undefined;
  let health = new Map<string, boolean>();
  let open = new Map<string, number>();

  return {
    /** True when something has changed that a loop should look at. */
    take(report, now) {
      const before = fingerprint(health, open);
      latest = { report, at: now };
      health = new Map(report.probes.map((probe) => [`${probe.probe}\n${probe.instance}`, probe.healthy]));
      open = new Map();
      for (const row of report.connections) open.set(row.instance, (open.get(row.instance) ?? 0) + row.open);
      return before !== fingerprint(health, open);
    },
    healthy: (probeId, instance) => health.get(`${probeId}\n${instance}`),
    connections: (instance) => open.get(instance) ?? 0,
    seenAt: () => latest?.at,
    latest: (now, maximumAge) => (latest !== undefined && now - latest.at <= maximumAge ? latest.report : undefined),
  };
}

function fingerprint(health: ReadonlyMap<string, boolean>, open: ReadonlyMap<string, number>): string {
  return JSON.stringify([[...health].toSorted(), [...open].filter(([, count]) => count > 0).toSorted()]);
}
