/** What the file server has to know: which shares there are, who comes in by SMB with what key, and what is exported by NFS to whom. */
import { keysOf } from '../providers/storage/storage-accounts.ts';
import type { ServedShare } from '../pool/plan-file-server.ts';
import { findResources, nameOf, type ResourceRecord } from '../store/resource-records.ts';
import type { World } from './world.ts';

export interface NfsExport {
  /** `ACCOUNT/SHARE` */
  share: string;
  /** Networks that may come: `10.0.0.0/24`. */
  clients: readonly string[];
  readOnly: boolean;
}

/** The ways into shares that the operator has switched on. */
export interface WaysIn {
  smb: boolean;
  nfs: readonly NfsExport[];
}

/** As `images/recipes/fileserver/files/ways-in` reads it. Holds keys: it goes in by its standard input only. */
export interface FileServerWord {
  smb: { login: string; password: string; shares: ServedShare[] }[];
  nfs: (ServedShare & { id: number; clients: readonly string[]; readOnly: boolean })[];
}

/** Shares that are there and stay. */
export async function readServedShares({ store }: Pick<World, 'store'>): Promise<ServedShare[]> {
  const dying = (await findResources(store.db, { type: 'Microsoft.Storage/storageAccounts' })).filter(
    ({ deletingSince }) => deletingSince !== undefined,
  );
  const shares = await findResources(store.db, { type: 'Microsoft.Storage/storageAccounts/fileServices/shares' });
  return shares.flatMap((share) =>
    isMade(share) &&
    share.deletingSince === undefined &&
    !dying.some((account) => share.key.startsWith(`${account.key}/`))
      ? [{ account: share.key.split('/').at(-5) ?? '', share: nameOf(share.id).toLowerCase() }]
      : [],
  );
}

/**
 * Whether a share has its volume. Each change of it (a quota, a tag, the same once more) is `Updating` for a moment, or `Failed`, and it
 * is served all the while; only one whose first making is under way or failed has nothing to serve.
 */
export function isMade({ provisioningState, generation }: Pick<ResourceRecord, 'provisioningState' | 'generation'>) {
  return (
    provisioningState === 'Succeeded' ||
    provisioningState === 'Updating' ||
    (provisioningState === 'Failed' && generation > 1)
  );
}

/** Sections of Samba's configuration that are no shares, whatever is in them. */
const ownOfSamba = ['global', 'homes', 'printers'];

export const isForSmb = ({ share }: Pick<ServedShare, 'share'>): boolean => !ownOfSamba.includes(share);

/** What is switched on and cannot be had, in words for the operator. Pure. */
export function unservedShares({ smb, nfs }: WaysIn, shares: readonly ServedShare[]): string[] {
  return [
    ...shares.flatMap((one) =>
      smb && !isForSmb(one)
        ? [`The share '${one.account}/${one.share}' is not served by SMB, which has its name for itself.`]
        : [],
    ),
    ...nfs.flatMap(({ share: name }) =>
      shares.some((one) => `${one.account}/${one.share}` === name)
        ? []
        : [`There is no share '${name}', which 'nfs' in config.json exports: make it, or take it out there.`],
    ),
  ];
}

/**
 * An account has two keys, and Samba one password for a name: `ACCOUNT` comes in with the first key, `ACCOUNT.key2` with the second,
 * and `ACCOUNT.key1` is another word for the first.
 */
export async function readFileServerWord(
  { store, secrets }: Pick<World, 'store' | 'secrets'>,
  { smb, nfs }: WaysIn,
  shares: readonly ServedShare[],
): Promise<FileServerWord> {
  const logins: FileServerWord['smb'] = [];
  const accounts = smb ? await findResources(store.db, { type: 'Microsoft.Storage/storageAccounts' }) : [];
  for (const record of accounts) {
    if (record.deletingSince !== undefined) continue;
    const account = nameOf(record.id).toLowerCase();
    const own = shares.filter((share) => share.account === account && isForSmb(share));
    for (const { keyName, value } of await keysOf(record, { queries: store.db, secrets })) {
      if (typeof value !== 'string' || value === '' || typeof keyName !== 'string') continue;
      logins.push({ login: `${account}.${keyName}`, password: value, shares: own });
      if (keyName === 'key1') logins.push({ login: account, password: value, shares: own });
    }
  }
  return {
    smb: logins,
    nfs: nfs.flatMap(({ share: name, clients, readOnly }, index) => {
      const share = shares.find((one) => `${one.account}/${one.share}` === name);
      return share === undefined ? [] : [{ ...share, id: index + 1, clients, readOnly }];
    }),
  };
}
