import { describe, expect, it, vi } from 'vitest';
import type { Directory } from '../../link/people.ts';
import { silentLog } from '../test-support.ts';
import { createDirectoryView } from './directory-view.ts';
import { endUnwelcome } from './end-unwelcome.ts';
import { createSessionLedger } from './session-ledger.ts';

const directory = (users: Record<string, string[]>): Directory => ({
  revision: '1',
  users: Object.entries(users).map(([name, pools]) => ({ name, pools, keys: [] })),
  hostKeys: [],
  userAuthority: '',
  userAuthorities: [],
  instanceKeys: {},
});

describe('a change of who may enter', () => {
  it.each([
    ['keeps those who still may', { alice: ['/pools/team', '/pools/other'] }, 0],
    ['ends the sessions of who was removed or disabled', { bob: ['/pools/team'] }, 1],
    ['ends the sessions of who may enter other pools only', { alice: ['/pools/other'] }, 1],
  ])('%s', (_, users, ended) => {
    const sessions = createSessionLedger(
      () => 0,
      () => undefined,
    );
    const end = vi.fn();
    const about = { pool: '/pools/team', instance: 'one', protocol: 'ssh' as const, client: '127.0.0.1' };
    sessions.add({ ...about, user: 'alice', tell: () => undefined, end, activity: { at: () => 0 } });
    const view = createDirectoryView();
    view.take(directory(users));
    endUnwelcome(sessions, view, silentLog);
    expect(end.mock.calls).toHaveLength(ended);
    if (ended > 0) expect(end).toHaveBeenCalledWith(expect.stringContaining('access to this pool has ended'));
  });
});
