import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { openStore } from '../store/store.ts';
import { createGatewayReports } from './gateway-reports.ts';
import { createSessionDesk } from './session-desk.ts';

const session = (id: string, user: string) => ({
  ...{ id, user, pool: '/p', instance: 'one', protocol: 'ssh' as const, since: 0, client: '127.0.0.1' },
});

async function prepare() {
  const reports = createGatewayReports(0);
  const report = {
    gateway: 'g',
    pid: 1,
    phase: 'serving' as const,
    startedAt: 0,
    revision: 1,
    probes: [],
    connections: [],
    failures: [],
  };
  reports.take({ ...report, sessions: [session('aa', 'alice'), session('bb', 'bob')] }, 0);
  const given: unknown[] = [];
  const store = await openStore(':memory:', { now: 0 });
  const desk = createSessionDesk(
    { store, reports, log: pino({ level: 'silent' }) },
    { give: (orders) => given.push(...orders) },
  );
  return { desk, given };
}

describe('the desk for sessions', () => {
  it('shows them, and gives orders about those that are chosen', async () => {
    const { desk, given } = await prepare();
    expect((await desk.list({})).map(({ id }) => id)).toEqual(['aa', 'bb']);
    expect((await desk.order({ choice: { user: 'bob' }, end: { reason: 'enough' } })).map(({ id }) => id)).toEqual([
      'bb',
    ]);
    await desk.order({ choice: { id: 'a' }, message: 'hello' });
    expect(given).toEqual([
      { session: 'bb', end: 'Who runs this pool has ended your session: enough' },
      { session: 'aa', message: 'Message from who runs this pool: hello' },
    ]);
  });

  it.each([
    ['nothing that is named', { choice: {}, end: {} }],
    ['a line that would move the cursor', { choice: { user: 'bob' }, message: 'a\u001b[2J' }],
    ['two lines', { choice: { user: 'bob' }, message: 'a\nb' }],
    ['a book', { choice: { user: 'bob' }, message: 'x'.repeat(1_001) }],
  ])('refuses %s', async (_, request) => {
    const { desk, given } = await prepare();
    await expect(desk.order(request)).rejects.toMatchObject({ code: 'InvalidParameter' });
    expect(given).toEqual([]);
  });
});
