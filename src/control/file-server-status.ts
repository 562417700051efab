/** How the file server stands, and what clients ask it for: `poolhouse status`. Pure. */
import type { EngineInstance } from '../engines/engine.ts';
import type { ServedShare } from '../pool/plan-file-server.ts';
import type { Entrance } from './file-server-fronts.ts';
import { isForSmb } from './file-server-word.ts';

export interface FileServerStatus {
  state: 'not made' | 'being made' | 'running' | 'stopped';
  address: string;
  /** Why it does not do what it should; undefined where it does. */
  reason?: string;
  /** What SMB clients ask for: `//ADDRESS/SHARE`; more than one account may have a share of a name. */
  smb: { account: string; path: string }[];
  /** What NFS clients ask for: `ADDRESS:/ACCOUNT/SHARE`. */
  nfs: { source: string; clients: readonly string[]; readOnly: boolean }[];
}

export function fileServerStatus(
  { ways, publicAddress, isOutside }: Entrance,
  seen: {
    found: Pick<EngineInstance, 'made' | 'power'> | undefined;
    image: { busy: boolean; ready: boolean };
    address: string;
    shares: readonly ServedShare[];
    reason: string | undefined;
  },
): FileServerStatus {
  const { address, shares, reason } = seen;
  return {
    state: stateOf(seen),
    address,
    ...(reason === undefined ? {} : { reason }),
    smb:
      ways.smb && publicAddress !== undefined
        ? shares.filter(isForSmb).map(({ account, share }) => ({ account, path: `//${publicAddress}/${share}` }))
        : [],
    nfs: ways.nfs.map(({ share, clients, readOnly }) => ({
      source: `${isOutside && publicAddress !== undefined ? publicAddress : address}:/${share}`,
      clients,
      readOnly,
    })),
  };
}

function stateOf({ found, image }: Parameters<typeof fileServerStatus>[1]): FileServerStatus['state'] {
  if (found?.made !== true) return image.busy || image.ready ? 'being made' : 'not made';
  return found.power === 'running' ? 'running' : 'stopped';
}
