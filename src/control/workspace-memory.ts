/**
 * What is known of the folders that shares have for people and groups, so that the engine is not asked for a thousand of them at
 * every look. Nothing depends on it: what is forgotten is looked at again.
 */
import type { EpochMillis } from '../core/time.ts';

export interface ShareMemory {
  /** As what each folder was wanted when it was there last. */
  made: Map<string, { as: string; at: EpochMillis }>;
  /** The same of what could not be made. */
  failed: Map<string, { as: string; at: EpochMillis }>;
  /** Whose each folder is known to be. */
  owners: Map<string, string>;
}

export interface WorkspaceMemory {
  of(share: string): ShareMemory;
  /** Works on one share are done one after the other. */
  turn<T>(share: string, work: () => Promise<T>): Promise<T>;
  /** Forgets every share but these. */
  keep(shares: ReadonlySet<string>): void;
}

export function createWorkspaceMemory(): WorkspaceMemory {
  const shares = new Map<string, ShareMemory>();
  const turns = new Map<string, Promise<unknown>>();
  return {
    of(share) {
      const known = shares.get(share) ?? { made: new Map(), failed: new Map(), owners: new Map() };
      shares.set(share, known);
      return known;
    },
    turn(share, work) {
      const result = (turns.get(share) ?? Promise.resolve()).then(work);
      const settled = result.catch(() => undefined);
      turns.set(share, settled);
      void settled.then(() => {
        if (turns.get(share) === settled) turns.delete(share);
      });
      return result;
    },
    keep(kept) {
      for (const share of shares.keys()) if (!kept.has(share)) shares.delete(share);
    },
  };
}
