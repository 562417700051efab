import { describe, expect, it } from 'vitest';
import { fileServerFronts, type Entrance } from './file-server-fronts.ts';

const address = '10.0.0.6';
const nfs = [
  { share: 'a/x', clients: ['10.1.0.0/24', '10.2.0.0/24'], readOnly: false },
  { share: 'a/y', clients: ['10.1.0.0/24'], readOnly: true },
];
const all: Entrance = { ways: { smb: true, nfs }, publicAddress: '192.0.2.7', isOutside: true };
const running = { power: 'running', link: { interface: 'veth1', mac: '00:16:3e:00:00:01' } } as const;

describe('fronts of the file server', () => {
  it.each<[what: string, entrance: Partial<Entrance>, kinds: string[]]>([
    ['all that is switched on', {}, ['closed', 'carried 445', 'forwarded 2049']],
    ['SMB', { ways: { smb: true, nfs: [] } }, ['closed', 'carried 445']],
    ['NFS', { ways: { smb: false, nfs } }, ['closed', 'forwarded 2049']],
    ['no NFS where the address reaches no other machine', { isOutside: false }, ['closed', 'carried 445']],
    ['nothing without an address', { publicAddress: undefined }, ['closed']],
    ['nothing that is not switched on', { ways: { smb: false, nfs: [] } }, ['closed']],
  ])('lead to %s', (_what, entrance, kinds) => {
    const fronts = fileServerFronts({ ...all, ...entrance }, running, address);
    expect(fronts.map((one) => (one.kind === 'closed' ? one.kind : `${one.kind} ${one.port}`))).toEqual(kinds);
    for (const front of fronts) expect(front).toMatchObject({ instance: 'fileserver', address, accepting: true });
  });

  it('name each client of NFS once', () => {
    const front = fileServerFronts(all, running, address).at(-1);
    expect(front).toMatchObject({ clients: ['10.1.0.0/24', '10.2.0.0/24'] });
  });

  it.each([
    ['stopped', { ...running, power: 'stopped' as const }],
    ['not there', undefined],
  ])('let nobody in while it is %s, and keep it closed', (_what, instance) => {
    const fronts = fileServerFronts(all, instance, address);
    expect(fronts.map(({ accepting }) => accepting)).toEqual([false, false, false]);
    expect(fronts[0]?.kind).toBe('closed');
  });
});
