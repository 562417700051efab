/** What the gateways have said last. Kept in memory only: they say it again within seconds. */
import type { Session } from '../link/people.ts';
import type { Report } from '../link/routes.ts';

export interface GatewayReports {
  /** True when something has changed that a loop should look at. */
  take(report: Report, now: number): boolean;
  /**
   * Undefined where no gateway has asked yet; true where any of them had an answer that is well. What they said of tables
   * before `revision` does not count.
   */
  healthy(probeId: string, instance: string, revision?: number): boolean | undefined;
  connections(instance: string): number;
  /** Sessions of people, and connections of those whom nobody knows. */
  sessionsOn(instance: string): number;
  /** Connections of whom nobody knows. */
  strangersOn(instance: string): number;
  /** Of all gateways, also of those that only carry old sessions to their end. */
  sessions(): readonly Session[];
  /** Whether every gateway that there is has had time to report: who nobody speaks of is not there. */
  isComplete(now: number): boolean;
  /** When one that serves reported last. */
  seenAt(): number | undefined;
  /** Those that have reported within `maximumAge` milliseconds and not ended: who serves first, the youngest before the others. */
  present(now: number, maximumAge: number): Report[];
}

/** A gateway that has not reported for this long has ended, and its sessions with it: it does so every five seconds. */
const silentFor = 20_000;
/** Gateways that were there before control have reported by then, having tried again every five seconds. */
const firstReports = 10_000;

/** @param startedAt when control began */
export function createGatewayReports(startedAt: number): GatewayReports {
  /** By gateway; the one that reported last stands last. */
  const reports = new Map<string, { report: Report; at: number }>();
  let health = new Map<string, { healthy: boolean; revision: number }>();
  let open = new Map<string, number>();
  let sessionsOn = new Map<string, number>();
  let strangersOn = new Map<string, number>();
  let sessions: readonly Session[] = [];
  let seen = '';

  /** What an ended one said of instances counts until the next one speaks: they are as they were. */
  const lastWord = (report: Report): Report => ({
    ...report,
    probes: reports.get(report.gateway)?.report.probes ?? [],
    connections: [],
    sessions: [],
  });

  return {
    take(report, now) {
      const said = report.phase === 'ended' ? lastWord(report) : report;
      reports.delete(report.gateway);
      reports.set(report.gateway, { report: said, at: now });
      // The last word of the only one stays, however old: control may be slow, and connections are there all the same.
      const isServed = [...reports.values()].some((one) => one.report.phase === 'serving');
      for (const [gateway, { report: theirs, at }] of reports)
        if (gateway !== report.gateway && now - at > silentFor) reports.delete(gateway);
        else if (theirs.phase === 'ended' && isServed) reports.delete(gateway);
      const all = [...reports.values()].map((one) => one.report);
      health = new Map();
      for (const { revision, probes } of all) {
        for (const { probe, instance, healthy } of probes) {
          const key = `${probe}\n${instance}`;
          const known = health.get(key);
          if (known === undefined || (healthy && (!known.healthy || revision > known.revision)))
            health.set(key, { healthy, revision });
        }
      }
      open = new Map();
      sessions = all.flatMap((one) => one.sessions);
      sessionsOn = new Map();
      strangersOn = new Map();
      for (const { instance } of sessions) sessionsOn.set(instance, (sessionsOn.get(instance) ?? 0) + 1);
      for (const row of all.flatMap((one) => one.connections)) {
        open.set(row.instance, (open.get(row.instance) ?? 0) + row.open);
        const ofNobody = row.open - (row.ofPeople ?? 0);
        sessionsOn.set(row.instance, (sessionsOn.get(row.instance) ?? 0) + ofNobody);
        strangersOn.set(row.instance, (strangersOn.get(row.instance) ?? 0) + ofNobody);
      }
      const before = seen;
      seen = JSON.stringify([
        [...health].toSorted(),
        [...open].filter(([, count]) => count > 0).toSorted(),
        sessions.map((session) => session.id).toSorted(),
      ]);
      return before !== seen;
    },
    healthy(probeId, instance, revision = 0) {
      const known = health.get(`${probeId}\n${instance}`);
      return known === undefined || known.revision < revision ? undefined : known.healthy;
    },
    connections: (instance) => open.get(instance) ?? 0,
    sessionsOn: (instance) => sessionsOn.get(instance) ?? 0,
    strangersOn: (instance) => strangersOn.get(instance) ?? 0,
    sessions: () => sessions,
    isComplete: (now) => now - startedAt >= (reports.size > 0 ? firstReports : silentFor),
    seenAt: () => [...reports.values()].findLast(({ report }) => report.phase === 'serving')?.at,
    present: (now, maximumAge) =>
      [...reports.values()]
        .flatMap(({ report, at }) => (now - at <= maximumAge && report.phase !== 'ended' ? [report] : []))
        .toSorted((a, b) => rank[a.phase] - rank[b.phase] || b.startedAt - a.startedAt),
  };
}

const rank = { serving: 0, leaving: 1, ended: 2 } as const;
