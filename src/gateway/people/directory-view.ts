/** Who may come in, as the gateway knows it: control's directory, ready to be asked. */
import type { Directory, DirectoryUser } from '../../link/people.ts';

export interface DirectoryView {
  /** Undefined before the first directory. */
  now(): Directory | undefined;
  take(directory: Directory): void;
  /** The person of this name, where they may enter the pool. */
  find(pool: string, name: string): DirectoryUser | undefined;
}

export function createDirectoryView(): DirectoryView {
  let directory: Directory | undefined;
  let byName = new Map<string, DirectoryUser[]>();
  return {
    now: () => directory,
    take(next) {
      directory = next;
      byName = Map.groupBy(next.users, (user) => user.name);
    },
    // A name may stand there twice: as the admin user of two pools.
    find: (pool, name) => byName.get(name)?.find((user) => user.pools === 'all' || user.pools.includes(pool)),
  };
}
