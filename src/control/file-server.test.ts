/** Passes of the file server's loop, on an engine that is made up. */
import { describe, expect, it } from 'vitest';
import { PoolhouseError } from '../core/errors.ts';
import { keyOf, type ResourceId } from '../core/resource-id.ts';
import type { EngineInstance } from '../engines/engine.ts';
import { openKeyring } from '../secrets/keyring.ts';
import { createSecrets } from '../secrets/secrets.ts';
import { saveResource, type ResourceRecord } from '../store/resource-records.ts';
import { openStore } from '../store/store.ts';
import { createFileServer } from './file-server.ts';
import { isMade, type WaysIn } from './file-server-word.ts';
import { createLiveView } from './live-view.ts';
import type { World } from './world.ts';

const accountId = '/subscriptions/s/resourceGroups/lab/providers/Microsoft.Storage/storageAccounts/team' as ResourceId; // as formatResourceId makes it
const signal = new AbortController().signal;

type State = Pick<ResourceRecord, 'provisioningState' | 'generation'>;

async function prepare(shares: Record<string, State>, ways: Partial<WaysIn> = {}) {
  const store = await openStore(':memory:', { now: 0 });
  const { keyring } = await openKeyring(store, [Buffer.alloc(32, 7)], 1);
  const secrets = createSecrets(keyring);
  const key = await secrets.hide(store.db, keyOf(accountId), 'the key', 0);
  const common = { groupKey: keyOf('/g'), found: {}, error: undefined, etag: 'e', createdAt: 1, changedAt: 1, deletingSince: undefined }; // prettier-ignore
  await saveResource(store.db, {
    ...{ key: keyOf(accountId), id: accountId, typeKey: 'microsoft.storage/storageaccounts', parentKey: '' },
    ...{ document: { $keys: { key1: key } }, provisioningState: 'Succeeded', generation: 1, ...common },
  });
  for (const [name, state] of Object.entries(shares)) {
    const id = `${accountId}/fileServices/default/shares/${name}` as ResourceId; // made from one
    await saveResource(store.db, {
      ...{ key: keyOf(id), id, typeKey: 'microsoft.storage/storageaccounts/fileservices/shares' },
      ...{ parentKey: keyOf(`${accountId}/fileServices/default`), document: {}, ...state, ...common },
    });
  }
  const did: string[] = [];
  const attached: EngineInstance['attachments'][number][] = [];
  const broken = new Set<string>();
  const instance = {
    name: 'fileserver',
    made: true,
    power: 'running',
    address: '10.0.0.6',
    labels: { service: 'fileserver' },
    attachments: attached,
    link: { interface: 'veth1', mac: '00:16:3e:00:00:01' },
  } as unknown as EngineInstance; // as much as is looked at
  const refused = (share: string) =>
    broken.has(share) ? Promise.reject(new PoolhouseError('EngineFailed', `no ${share}`)) : undefined;
  const now = { at: 1_000_000 };
  const nothing = () => undefined;
  const live = createLiveView();
  const world = {
    ...{ store, secrets, live, clock: { now: () => now.at }, changed: nothing },
    log: { debug: nothing, info: nothing, warn: nothing, error: nothing },
    engine: {
      capabilities: () => ({ real: true }),
      network: () => ({ subnet: '10.0.0.0/29', gateway: '10.0.0.1' }),
      list: () => Promise.resolve([instance]),
      async attachShare(_name: string, one: EngineInstance['attachments'][number]) {
        await refused(one.share);
        attached.push(one);
        did.push(`attach ${one.share}`);
      },
      exec: (_name: string, _argv: string[], { stdin }: { stdin: string }) => {
        const { smb, nfs } = JSON.parse(stdin) as { smb: { shares: { share: string }[] }[]; nfs: { share: string }[] };
        const names = [smb[0]?.shares ?? [], nfs].map((list) =>
          list
            .map(({ share }) => share)
            .toSorted()
            .join(','),
        );
        did.push(`tell smb: ${names.join(' nfs: ')}`.trim());
        return Promise.resolve({ exitCode: 0, stdout: '{"smb":"active","nfs":"active"}', stderr: '' });
      },
    },
  } as unknown as World; // what is tested here asks for no more of it
  const fileServer = createFileServer({
    world,
    images: { prepare: nothing, state: () => ({ ready: false, busy: true, retryAt: undefined, failure: undefined }), reference: () => ({ fingerprint: 'f' }), idle: () => Promise.resolve() }, // prettier-ignore
    doors: { open: () => Promise.resolve('/d') } as never, // as much as is asked of it
    ways: { smb: true, nfs: [], ...ways },
    publicAddress: '192.0.2.1',
    isOutside: true,
  });
  return { store, fileServer, did, broken, now, live, instance };
}

const made: State = { provisioningState: 'Succeeded', generation: 1 };

describe('the file server', () => {
  it.each<[boolean, State]>([
    [true, made],
    [true, { provisioningState: 'Updating', generation: 2 }],
    [true, { provisioningState: 'Failed', generation: 2 }],
    [false, { provisioningState: 'Failed', generation: 1 }],
    [false, { provisioningState: 'Creating', generation: 1 }],
  ])('serves a share: %s, where it is %o', (expected, state) => {
    expect(isMade(state)).toBe(expected);
  });

  it('is closed always, and led to as long as it runs', async () => {
    const { fileServer, live, instance } = await prepare({});
    const fronts = () => fileServer.fronts().map(({ kind, address, accepting }) => [kind, address, accepting]);
    const at = (accepting: boolean) => [['closed', '10.0.0.6', accepting], ['carried', '10.0.0.6', accepting]]; // prettier-ignore
    expect(fronts()).toEqual(at(false));
    await fileServer.pass(signal); // as while a backup is being restored: nobody else has looked
    expect(fronts()).toEqual(at(true));
    expect(fileServer.fronts()[0]).toMatchObject({ link: { interface: 'veth1' } });
    live.setEngine([]);
    expect(fronts()).toEqual(at(false));
    live.setEngine([instance]);
    expect(fronts()).toEqual(at(true));
  });

  it('says which share SMB cannot serve, and which NFS has not', async () => {
    const nfs = [{ share: 'team/gone', clients: ['10.0.0.0/24'], readOnly: false }];
    const { fileServer, did } = await prepare({ homes: made, one: made }, { nfs });
    await fileServer.pass(signal);
    expect(did).toEqual(['attach homes', 'attach one', 'tell smb: one nfs:']);
    expect(fileServer.trouble()).toMatch(/'team\/homes'.*'team\/gone'/);
    expect((await fileServer.status())?.smb.map(({ path }) => path)).toEqual(['//192.0.2.1/one']);
  });

  it('goes on serving a share that is being changed', async () => {
    const { fileServer, did } = await prepare({ one: { provisioningState: 'Updating', generation: 2 } });
    await fileServer.pass(signal);
    expect(did).toEqual(['attach one', 'tell smb: one nfs:']);
  });

  it('is told of keys and other shares where one cannot be attached, and nothing of that one', async () => {
    const { store, fileServer, did, broken, now } = await prepare({ one: made, two: made });
    broken.add('one');
    await fileServer.pass(signal);
    expect(did).toEqual(['attach two', 'tell smb: two nfs:']);
    expect(fileServer.trouble()).toContain('no one');
    await fileServer.pass(signal); // not yet
    expect(did).toHaveLength(2);
    const setAccount = (document: string) => store.db.updateTable('resources').set({ document_json: document }).where('key', '=', keyOf(accountId)).execute(); // prettier-ignore
    const { document_json: account } = await store.db.selectFrom('resources').select('document_json').where('key', '=', keyOf(accountId)).executeTakeFirstOrThrow(); // prettier-ignore
    await setAccount('{}');
    await fileServer.pass(signal); // whoever had the key is let in no longer
    expect(did.slice(2)).toEqual(['tell smb:  nfs:']);
    await setAccount(account);
    broken.clear();
    now.at += 2_000;
    await fileServer.pass(signal);
    expect(did.slice(3)).toEqual(['attach one', 'tell smb: one,two nfs:']);
    expect(fileServer.trouble()).toBeUndefined();
  });
});
