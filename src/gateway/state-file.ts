/**
 * The last routing table, on disk: what a gateway serves that starts while control is away. Written beside and renamed,
 * so that a crash at any moment leaves the old one or the new one.
 */
import { open, readFile, rename } from 'node:fs/promises';
import { routingTableSchema } from '../link/routes.ts';
import type { RoutingTable } from '../link/routes.ts';

/** The stored table; undefined where there is none. A file that cannot be understood rejects: say so and go on without. */
export async function readState(path: string): Promise<RoutingTable | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
  return routingTableSchema.parse(JSON.parse(text));
}

export interface StateWriter {
  /** Stores this table soon; of several that wait, only the last is written. */
  save(table: RoutingTable): void;
  /** Resolves when nothing waits to be written. */
  flushed(): Promise<void>;
}

/** One write at a time. A failure is told and the next table is tried as usual. */
export function createStateWriter(path: string, onFailure: (error: unknown) => void): StateWriter {
  let waiting: RoutingTable | undefined;
  let writing: Promise<void> | undefined;

  async function writeAll(): Promise<void> {
    while (waiting !== undefined) {
      const table = waiting;
      waiting = undefined;
      try {
        await writeState(path, table);
      } catch (error) {
        onFailure(error);
      }
    }
    writing = undefined;
  }

  return {
    save(table) {
      waiting = table;
      writing ??= writeAll();
    },
    flushed: () => writing ?? Promise.resolve(),
  };
}

async function writeState(path: string, table: RoutingTable): Promise<void> {
  const beside = `${path}.new`;
  const file = await open(beside, 'w', 0o600);
  try {
    await file.writeFile(JSON.stringify(table));
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(beside, path);
}
