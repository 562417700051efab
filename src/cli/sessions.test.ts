import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished } from 'vitest';
import { startAdminServer } from '../control/admin-server.ts';
import type { SessionDocument } from '../control/choose-sessions.ts';
import { runtimeFolderOf, homeAt } from '../core/home.ts';
import { describeSessions, shortIds } from './sessions.ts';

const session = (id: string, over: Partial<SessionDocument> = {}): SessionDocument => ({
  ...{ id, user: 'alice', pool: 'team/sharedpool', instance: 'shared000000', protocol: 'ssh', from: '127.0.0.1' },
  ...{ since: '2026-01-02T03:04:05.678Z', drainsUntil: null },
  ...over,
});

describe('ids in a table', () => {
  it.each([
    [
      ['aaaaaaaa-1', 'bbbbbbbb-2'],
      ['aaaaaaaa', 'bbbbbbbb'],
    ],
    [
      ['aaaaaaaa-1', 'aaaaaaaa-2'],
      ['aaaaaaaa-1', 'aaaaaaaa-2'],
    ],
    [[], []],
  ])('are as long as they must be: %j', (ids, short) => {
    expect(shortIds(ids)).toEqual(short);
  });
});

describe('the table of sessions', () => {
  it('says who is where, since when, from where, and what drains', () => {
    const text = describeSessions([session('aaaaaaaa-1', { drainsUntil: '2026-01-02T04:00:00.000Z' })], 120);
    expect(text.split('\n')[1]?.trim().split(/ {2,}/)).toEqual([
      ...['aaaaaaaa', 'alice', 'team/sharedpool', 'shared000000 (drains)', 'ssh', '2026-01-02 03:04Z', '127.0.0.1'],
    ]);
  });

  it('fits a narrow terminal', () => {
    const lines = describeSessions([session('aaaaaaaa-1', { pool: 'a/'.padEnd(90, 'x') })], 80).split('\n');
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80);
  });
});

describe('poolhouse sessions', () => {
  /** The command line beside an admin server of the test. */
  async function prepare() {
    const folder = await mkdtemp(join(tmpdir(), 'poolhouse-sessions-'));
    onTestFinished(() => rm(folder, { recursive: true, force: true }));
    const home = homeAt(join(folder, 'home'));
    const id = `5e55${Math.floor(Math.random() * 65_536)
      .toString(16)
      .padStart(4, '0')}`;
    const uuid = (end: number) => `a3b5d0f0-0000-4000-8000-00000000000${String(end)}`;
    await mkdir(home.folder, { recursive: true });
    await writeFile(
      home.installation,
      JSON.stringify({
        ...{ id, engine: 'sim', apiPort: 1, addressBlock: '127.77.7.0/24', createdAt: '2026-01-01T00:00:00Z' },
        ...{ subscriptionId: uuid(1), tenantId: uuid(2), clientId: uuid(3) },
      }),
    );
    const run = runtimeFolderOf(home, id, process.getuid?.() === 0);
    await mkdir(run.folder, { recursive: true });
    onTestFinished(() => rm(run.folder, { recursive: true, force: true }));
    const asked: unknown[] = [];
    const take = (request: unknown) => {
      asked.push(request);
      return Promise.resolve([session('aaaaaaaa-1')]);
    };
    const never = () => Promise.reject(new Error('nobody asks this here'));
    const admin = await startAdminServer({
      hostKeys: () => [],
      drain: () => Promise.reject(new Error('not asked here')),
      giveUpMount: () => Promise.reject(new Error('not asked here')),
      costs: never,
      socketPath: run.adminSocket,

      sessions: { list: take, order: take },
      shares: { list: never, show: never, order: never },
      ...{
        status: never,
        journal: never,
        clientSecret: never,
        changeMasterKey: never,
        onError: () => undefined,
        why: never,
        poolHistory: never,
        workspaces: never,
        shareBackup: { open: never, prepare: never, fill: never, finish: never, sweep: never },
      },
    });
    onTestFinished(() => admin.close());
    const main = fileURLToPath(new URL('main.ts', import.meta.url));
    const sessions = (...argv: string[]) =>
      new Promise<{ exitCode: number; stdout: string; stderr: string }>((resolve) => {
        const env = { ...process.env, POOLHOUSE_HOME: home.folder };
        execFile(process.execPath, [main, 'sessions', ...argv], { env }, (error, stdout, stderr) => {
          resolve({ exitCode: error === null ? 0 : Number(error.code), stdout, stderr });
        });
      });
    return { sessions, asked };
  }

  it.each<[string[], unknown, string]>([
    [['list', '--pool', 'one'], { pool: 'one' }, 'aaaaaaaa'],
    [['show', 'aaaa'], { id: 'aaaa' }, 'shared000000'],
    [['message', 'aaaa', 'to you'], { choice: { id: 'aaaa' }, message: 'to you' }, '1 session was told.'],
    [['message', '--user', 'bob', 'to you'], { choice: { user: 'bob' }, message: 'to you' }, '1 session was told.'],
    [['end', '--instance', 'i', '--reason', 'why'], { choice: { instance: 'i' }, end: { reason: 'why' } }, 'ended.'],
    [['end', 'aaaa', '--json'], { choice: { id: 'aaaa' }, end: {} }, '"id": "aaaaaaaa-1"'],
  ])('%j asks control', { timeout: 30_000 }, async (argv, request, shown) => {
    const { sessions, asked } = await prepare();
    const { exitCode, stdout, stderr } = await sessions(...argv);
    expect({ exitCode, stderr, asked }).toEqual({ exitCode: 0, stderr: '', asked: [request] });
    expect(stdout).toContain(shown);
  });

  it.each<[string[], RegExp]>([
    [['end'], /Say which sessions/],
    [['end', 'aaaa', '--user', 'bob'], /An id names one session/],
    [['message', 'aaaa'], /Give the text/],
    [['message', 'aaaa', 'text', '--pool', 'one'], /An id names one session/],
    [['show'], /missing required argument/],
  ])('%j is wrong usage', { timeout: 30_000 }, async (argv, message) => {
    const { sessions, asked } = await prepare();
    const { exitCode, stderr } = await sessions(...argv);
    expect({ exitCode, asked }).toEqual({ exitCode: 2, asked: [] });
    expect(stderr).toMatch(message);
  });
});
