import { describe, expect, it } from 'vitest';
import { fileServerStatus } from './file-server-status.ts';

const entrance = {
  ways: { smb: true, nfs: [{ share: 'a/x', clients: ['10.1.0.0/24'], readOnly: true }] },
  publicAddress: '192.0.2.7',
  isOutside: true,
};
const seen = {
  found: { made: true, power: 'running' as const },
  image: { busy: false, ready: true },
  address: '10.0.0.6',
  shares: [
    { account: 'a', share: 'x' },
    { account: 'a', share: 'homes' },
  ],
  reason: undefined,
};

describe('the status of the file server', () => {
  it('says what clients ask for', () => {
    expect(fileServerStatus(entrance, seen)).toEqual({
      state: 'running',
      address: '10.0.0.6',
      smb: [{ account: 'a', path: '//192.0.2.7/x' }],
      nfs: [{ source: '192.0.2.7:/a/x', clients: ['10.1.0.0/24'], readOnly: true }],
    });
    expect(fileServerStatus({ ...entrance, isOutside: false }, seen).nfs[0]?.source).toBe('10.0.0.6:/a/x');
    expect(fileServerStatus({ ...entrance, publicAddress: undefined }, seen).smb).toEqual([]);
  });

  it('says why it is not as it should be', () => {
    expect(fileServerStatus(entrance, { ...seen, reason: 'No room.' }).reason).toBe('No room.');
  });

  it.each([
    ['stopped', { found: { made: true, power: 'stopped' as const } }],
    ['being made', { found: undefined }],
    ['being made', { found: { made: false, power: 'stopped' as const } }],
    ['being made', { found: undefined, image: { busy: true, ready: false } }],
    ['not made', { found: undefined, image: { busy: false, ready: false } }],
  ])('is %s', (state, over) => {
    expect(fileServerStatus(entrance, { ...seen, ...over }).state).toBe(state);
  });
});
