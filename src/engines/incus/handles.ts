/**
 * Folders inside a share, by handle. People and instances write there, so a path may be a trap at any moment: each name is opened from
 * the folder above it, and none is followed where it is a link. What is done with a handle is done with the folder that was opened,
 * whatever has been put in its place since.
 */
import { constants } from 'node:fs';
import { lstat, mkdir, open, rename, type FileHandle } from 'node:fs/promises';
import { PoolhouseError } from '../../core/errors.ts';

const folderFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** btrfs gives the root of every subvolume this inode, and no other folder. */
const subvolumeRoot = 256;

/** A folder that is open. */
export interface FolderHandle extends AsyncDisposable {
  /** Leads to this very folder, for this process and for the programs that it starts. */
  readonly path: string;
  /** Of something in it, for calls that do not follow their last step. */
  at(name: string): string;
  /** True of the root of a subvolume, false of an ordinary folder. */
  isSubvolume(): Promise<boolean>;
  /** As the host counts. */
  owner(): Promise<{ uid: number; gid: number }>;
  chown(uid: number, gid: number): Promise<void>;
  chmod(mode: number): Promise<void>;
}

/** Opens a folder whose path nobody but root can change. */
export async function openTrusted(path: string): Promise<FolderHandle> {
  return handleOf(await open(path, folderFlags));
}

/** Opens a folder in another one. @returns undefined where there is nothing of that name; `Conflict` where it is no folder, or a link */
export async function openIn(parent: FolderHandle, name: string): Promise<FolderHandle | undefined> {
  try {
    return handleOf(await open(parent.at(name), folderFlags));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    if (code === 'ENOTDIR' || code === 'ELOOP')
      throw new PoolhouseError('Conflict', `'${name}' is a file or a link where a folder is expected: move it away.`, {
        cause: error,
      });
    throw error;
  }
}

/** The same, and makes what is missing. */
export async function openOrMake(
  parent: FolderHandle,
  name: string,
  owner: { uid: number; gid: number; mode: number },
): Promise<FolderHandle> {
  const found = await openIn(parent, name);
  if (found !== undefined) return found;
  const isNew = await mkdir(parent.at(name), { mode: 0o700 }).then(
    () => true,
    (error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
      throw error;
    },
  );
  const made = await openIn(parent, name);
  if (made === undefined)
    throw new PoolhouseError('Conflict', `'${name}' was removed while it was made.`, { retryable: true });
  if (!isNew) return made;
  await made.chown(owner.uid, owner.gid);
  await made.chmod(owner.mode);
  return made;
}

/** Opens a folder by the names that lead to it. @returns undefined where one of them is missing */
export async function openBelow(root: string, names: readonly string[]): Promise<FolderHandle | undefined> {
  let here = await openTrusted(root);
  for (const name of names) {
    await using above = here;
    const next = await openIn(above, name);
    if (next === undefined) return undefined;
    here = next;
  }
  return here;
}

/** Whether there is anything of that name, a link that leads nowhere too. */
export async function isThere(parent: FolderHandle, name: string): Promise<boolean> {
  return lstat(parent.at(name)).then(
    () => true,
    (error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    },
  );
}

/** For who looks at what people may have put in the place of a folder: that is theirs, and no folder. Other errors go on. */
export function noFolder(error: unknown): undefined {
  if (error instanceof PoolhouseError && error.code === 'Conflict') return undefined;
  throw error;
}

/** Gives what is in the way another name, whatever it is. @returns the name */
export async function putAside(parent: FolderHandle, name: string, wished: string): Promise<string> {
  for (let kept = wished; ; kept += '-') {
    if (await isThere(parent, kept)) continue;
    await rename(parent.at(name), parent.at(kept));
    return kept;
  }
}

function handleOf(file: FileHandle): FolderHandle {
  const path = `/proc/${String(process.pid)}/fd/${String(file.fd)}`;
  return {
    path,
    at: (name) => `${path}/${name}`,
    isSubvolume: async () => (await file.stat()).ino === subvolumeRoot,
    owner: async () => {
      const { uid, gid } = await file.stat();
      return { uid, gid };
    },
    chown: (uid, gid) => file.chown(uid, gid),
    chmod: (mode) => file.chmod(mode),
    [Symbol.asyncDispose]: () => file.close(),
  };
}
