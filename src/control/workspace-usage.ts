/** What the folders of somebody, or of a group, hold on the shares that pools show. */
import { z } from 'zod';
import { PoolhouseError } from '../core/errors.ts';
import { groupFolderOf, workspaceOf } from '../pool/plan-workspaces.ts';
import { findResources, nameOf } from '../store/resource-records.ts';
import type { World } from './world.ts';

export interface WorkspaceUsage {
  account: string;
  share: string;
  folder: string;
  usedBytes: number;
  /** Null: no other limit than the share's. */
  quotaBytes: number | null;
}

const querySchema = z.union([z.strictObject({ user: z.string() }), z.strictObject({ group: z.string() })]);

/** On every share where it has a room of its own; a folder from before, without one, is not measured. */
export async function workspaceUsage(
  { store, engine }: Pick<World, 'store' | 'engine'>,
  query: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<WorkspaceUsage[]> {
  const asked = querySchema.safeParse(query);
  if (!asked.success) throw new PoolhouseError('InvalidParameter', 'A user or a group is expected.');
  const folder = 'user' in asked.data ? workspaceOf(asked.data.user) : groupFolderOf(asked.data.group);
  const shares = await findResources(store.db, { type: 'Microsoft.Storage/storageAccounts/fileServices/shares' });
  const usages = shares
    .filter(({ provisioningState, deletingSince }) => provisioningState === 'Succeeded' && deletingSince === undefined)
    .map(async ({ id, key }): Promise<WorkspaceUsage[]> => {
      const name = { account: key.split('/').at(-5) ?? '', share: nameOf(id) };
      const rooms = await engine.listFolders(name.account, name.share, signal).catch((error: unknown) => {
        if (error instanceof PoolhouseError && error.code === 'ShareNotFound') return [];
        throw error;
      });
      return rooms
        .filter((room) => room.folder === folder)
        .map(({ usedBytes, quotaBytes }) => ({ ...name, folder, usedBytes, quotaBytes: quotaBytes ?? null }));
    });
  return (await Promise.all(usages)).flat();
}
