/** Shares and places in them as people write them: `ACCOUNT/SHARE`, `notebooks/alice/x.ipynb`. Pure. */
import { PoolhouseError } from '../core/errors.ts';

/** `team/shared` in words, or `notebooks/alice of team/shared`. */
export function describePlace({
  account,
  share,
  path,
}: {
  account: string;
  share: string;
  path: readonly string[];
}): string {
  return path.length === 0 ? `${account}/${share}` : `${path.join('/')} of ${account}/${share}`;
}

/** `InvalidParameter` where the text names no share. */
export function parseShare(text: string): { account: string; share: string } {
  const [, account, share] = /^([a-z0-9]{3,24})\/([a-z0-9-]{3,63})$/.exec(text.toLowerCase()) ?? [];
  if (account === undefined || share === undefined)
    throw new PoolhouseError(
      'InvalidParameter',
      `'${text.slice(0, 100)}' names no share: ACCOUNT/SHARE is expected. 'poolhouse shares list' shows them.`,
    );
  return { account, share };
}

/** The names of a path; [] for the whole share. `InvalidParameter` where one could not be a file's, or belongs to the snapshots. */
export function parsePlacePath(text: string): string[] {
  const names = text.split('/').filter((name, index, all) => name !== '' || (index > 0 && index < all.length - 1));
  for (const name of names) {
    if (name === '' || name === '.' || name === '..' || name.includes('\0') || Buffer.byteLength(name) > 255)
      throw new PoolhouseError('InvalidParameter', `'${text.slice(0, 200)}' is no path inside a share.`);
    if (name === '.snapshots')
      throw new PoolhouseError('InvalidParameter', `Name the path as it is in the share, without '.snapshots'; '--snapshot' says which.`); // prettier-ignore
  }
  return names;
}
