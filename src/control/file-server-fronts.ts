/** What leads to the file server from outside, and that it reaches nobody. Pure. */
import type { EngineInstance } from '../engines/engine.ts';
import type { ServiceFront } from '../pool/service-fronts.ts';
import type { WaysIn } from './file-server-word.ts';
import { fileServerName } from './service-instances.ts';

const smbPort = 445;
const nfsPort = 2049;

/** Where the operator lets others in. */
export interface Entrance {
  ways: WaysIn;
  /** The public address of the ways in; undefined where the operator has none for them. */
  publicAddress: string | undefined;
  /** Whether that address reaches other machines. */
  isOutside: boolean;
}

/** `instance`: the file server as it is seen now; `address`: its own, whether or not it is there. */
export function fileServerFronts(
  { ways, publicAddress, isOutside }: Entrance,
  instance: Pick<EngineInstance, 'power' | 'link'> | undefined,
  address: string,
): ServiceFront[] {
  const to = { instance: fileServerName, address, accepting: instance?.power === 'running' };
  const { link } = instance ?? {};
  const fronts: ServiceFront[] = [{ ...to, kind: 'closed', ...(link === undefined ? {} : { link }) }];
  if (publicAddress === undefined) return fronts;
  if (ways.smb)
    fronts.push({
      ...to,
      ...{ kind: 'carried', id: 'fileserver/smb', publicAddress, publicPort: smbPort, port: smbPort },
    });
  if (ways.nfs.length > 0 && isOutside)
    fronts.push({
      ...to,
      ...{ kind: 'forwarded', publicAddress, publicPort: nfsPort, port: nfsPort },
      clients: [...new Set(ways.nfs.flatMap(({ clients }) => clients))].toSorted(),
    });
  return fronts;
}
