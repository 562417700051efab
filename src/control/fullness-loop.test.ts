import { pino } from 'pino';
import { expect, it } from 'vitest';
import type { ResourceId } from '../core/resource-id.ts';
import { keyOf } from '../core/resource-id.ts';
import type { ShareFolderState, ShareState } from '../engines/engine.ts';
import { findActivities } from '../store/activity-log.ts';
import { saveResource } from '../store/resource-records.ts';
import { createFullnessLoop } from './fullness-loop.ts';
import type { OperatorAlert } from './operator-alert.ts';
import { fullnessNotes } from './status.ts';
import { openTestPool } from './test-support.ts';

const signal = new AbortController().signal;
const account = '/subscriptions/s/resourceGroups/lab/providers/Microsoft.Storage/storageAccounts/team' as ResourceId;
const id = `${account}/fileServices/default/shares/shared` as ResourceId;
const minute = 60_000;

async function prepare() {
  const { world, now } = await openTestPool();
  await saveResource(world.store.db, {
    ...{ key: keyOf(id), id, typeKey: 'microsoft.storage/storageaccounts/fileservices/shares' },
    ...{ groupKey: keyOf('/g'), parentKey: keyOf(`${account}/fileServices/default`), document: {}, found: {} },
    ...{ provisioningState: 'Succeeded', error: undefined, generation: 1, etag: 'e', createdAt: 1, changedAt: 1 },
    deletingSince: undefined,
  });
  const share: ShareState = { account: 'team', share: 'shared', quotaBytes: 1_000, usedBytes: 100, snapshotBytes: 7 };
  const folder: ShareFolderState = { folder: 'notebooks/ada', usedBytes: 10, quotaBytes: 100 };
  const people: { id: string; user: string; instance: string }[] = [];
  const told: { session: string; message?: string }[] = [];
  const alerts: OperatorAlert[] = [];
  const engine = {
    listShares: () => Promise.resolve([{ ...share }]),
    listFolders: () => Promise.resolve([{ ...folder }, { folder: 'notebooks/free', usedBytes: 900 }]),
  };
  const reports = { sessions: () => people };
  const parts = {
    orders: { give: (orders: readonly { session: string; message?: string }[]) => void told.push(...orders) },
    alert: (alert: OperatorAlert) => void alerts.push(alert),
  };
  const start = () =>
    createFullnessLoop({ ...world, log: pino({ level: 'silent' }), engine, reports } as unknown as typeof world, parts); // as much as it asks for
  return { share, folder, people, told, alerts, start, now, db: world.store.db };
}

it('tells the operator of a share once, also over a restart', async () => {
  const { share, alerts, start, now, db } = await prepare();
  const loop = start();
  await loop.pass(signal);
  expect(alerts).toEqual([]);
  share.usedBytes = 910;
  now.at += minute;
  await loop.pass(signal);
  now.at += minute;
  await start().pass(signal);
  expect(alerts).toMatchObject([{ resourceId: id, subject: 'The share team/shared is more than 90 % full' }]);
  const [activity] = await findActivities(db, { resourceId: id });
  expect(activity).toMatchObject({ level: 'Warning', message: expect.stringContaining('91 % full') as string });
  expect(fullnessNotes(loop.shares())).toMatchObject([expect.stringContaining('team/shared is 91 % full')]);
  expect(loop.shares()).toMatchObject([{ usedBytes: 910, quotaBytes: 1_000, snapshotBytes: 7, workspaces: 1 }]);
});

it('tells who owns a workspace when they are there, and nobody else', async () => {
  const { folder, people, told, start, now } = await prepare();
  const loop = start();
  const pass = async () => {
    now.at += minute;
    await loop.pass(signal);
  };
  folder.usedBytes = 96;
  await pass();
  expect(told).toEqual([]);
  people.push({ id: '1', user: 'ada', instance: 'i' }, { id: '2', user: 'bob', instance: 'i' });
  await pass();
  await pass();
  expect(told).toMatchObject([
    { session: '1', message: expect.stringContaining('Your workspace is 96 % full') as string },
  ]);
  expect(fullnessNotes(loop.shares())).toMatchObject([expect.stringContaining('1 workspace is full on team/shared')]);
});
