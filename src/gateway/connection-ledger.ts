/**
 * Which connections stand, by route and instance: what control needs to know before it takes an instance away, and the
 * one place that can end them. Probes are not in it.
 */
import type { Report } from '../link/routes.ts';

export interface Carried {
  toInstance: number;
  toClient: number;
}

/** What the open connections of a route have carried so far. */
export interface Traffic extends Carried {
  open: number;
}

export interface LedgerEntry {
  route: string;
  instance: string;
  /** Of somebody whose session is counted beside it. */
  isOfPerson?: boolean;
  /** Ends the connection at once. */
  destroy(): void;
  /** Bytes carried so far. */
  carried(): Carried;
  /** Called when no route leads to the instance any more: it may be gone without a word. */
  doubt(): void;
}

export interface ConnectionLedger {
  readonly size: number;
  /** Counts a connection until the returned function is called. */
  add(entry: LedgerEntry): () => void;
  /** Tells connections to instances outside this set that their peer may be gone. */
  doubtAllBut(instances: ReadonlySet<string>): void;
  report(): Report['connections'];
  /** By route; those without an open connection are left out. */
  traffic(): Map<string, Traffic>;
  /** Resolves when nothing is open. */
  idle(): Promise<void>;
  destroyAll(): void;
}

export function createConnectionLedger(onChange: () => void): ConnectionLedger {
  const entries = new Set<LedgerEntry>();
  let waiting: (() => void)[] = [];
  return {
    get size() {
      return entries.size;
    },
    add(entry) {
      entries.add(entry);
      onChange();
      return () => {
        if (!entries.delete(entry)) return;
        onChange();
        if (entries.size > 0) return;
        for (const resolve of waiting) resolve();
        waiting = [];
      };
    },
    doubtAllBut(instances) {
      for (const entry of entries) if (!instances.has(entry.instance)) entry.doubt();
    },
    report() {
      const rows = new Map<string, Report['connections'][number]>();
      for (const { route, instance, isOfPerson = false } of entries) {
        const key = `${route}\0${instance}`;
        const row = rows.get(key) ?? { route, instance, open: 0, ofPeople: 0 };
        row.open += 1;
        if (isOfPerson) row.ofPeople = (row.ofPeople ?? 0) + 1;
        rows.set(key, row);
      }
      return [...rows.values()];
    },
    traffic() {
      const rows = new Map<string, Traffic>();
      for (const entry of entries) {
        const row = rows.get(entry.route) ?? { open: 0, toInstance: 0, toClient: 0 };
        const { toInstance, toClient } = entry.carried();
        row.open += 1;
        row.toInstance += toInstance;
        row.toClient += toClient;
        rows.set(entry.route, row);
      }
      return rows;
    },
    idle() {
      return entries.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve));
    },
    destroyAll() {
      for (const entry of entries) entry.destroy();
    },
  };
}
