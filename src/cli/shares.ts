import { confirm, isCancel } from '@clack/prompts';
import { Command } from 'commander';
import type { RestoreDocument, ShareDetails, ShareDocument, SnapshotDocument } from '../control/share-desk.ts';
import { PoolhouseError } from '../core/errors.ts';
import { askControl, tellControl } from '../host/local-api.ts';
import { bytesInWords } from '../pool/judge-fullness.ts';
import { adminSocketOf } from './admin-socket.ts';
import { awaitRestore } from './await-restore.ts';
import { printAnswer } from './people-words.ts';
import { plainLine } from './plain-text.ts';
import type { Shared } from './shared.ts';
import { table, tableWidth } from './table.ts';
import { UsageError } from './usage-error.ts';

export function sharesCommand(shared: Shared): Command {
  const command = new Command('shares')
    .description('file shares: how full they are, snapshots of them, and what was in them before')
    .addHelpText(
      'after',
      `\nShares are made, resized and deleted with az (az storage share-rm). People restore their own files by copying them out of\n'.snapshots' in their workspace; this is for whole shares and folders.\n\nExamples:\n  poolhouse shares list\n  poolhouse shares snapshot team1234/shared\n  poolhouse shares restore team1234/shared --snapshot auto-2026-03-01T09-00-00Z --path notebooks/alice/thesis.ipynb\n\nEach command explains itself: poolhouse shares restore --help`,
    );
  for (const make of [
    listCommand,
    showCommand,
    snapshotsCommand,
    snapshotCommand,
    restoreCommand,
    undeleteCommand,
    purgeCommand,
  ])
    // prettier-ignore
    command.addCommand(make(shared));
  return command;
}

function listCommand(shared: Shared): Command {
  return new Command('list')
    .description('show all shares, also those that were deleted and can come back')
    .option('--json', 'print them as one JSON document')
    .addHelpText('after', '\nExamples:\n  poolhouse shares list\n  poolhouse shares list --json | jq -r .[].name')
    .action(async (options: { json?: true }) => {
      const text = await askControl(await adminSocketOf(shared), '/v1/shares');
      const { shares } = JSON.parse(text) as { shares: ShareDocument[] }; // of our own process
      printAnswer(options, shares, () => describeShares(shares, tableWidth(process.stdout)));
    });
}

function showCommand(shared: Shared): Command {
  return new Command('show')
    .description('show one share: its workspaces, its snapshots, what was restored')
    .argument('<share>', 'ACCOUNT/SHARE')
    .option('--json', 'print it as one JSON document')
    .addHelpText('after', '\nExamples:\n  poolhouse shares show team1234/shared')
    .action(async (name: string, options: { json?: true }) => {
      const share = await read(shared, name);
      printAnswer(options, share, () => describeShare(share, tableWidth(process.stdout)));
    });
}

function snapshotsCommand(shared: Shared): Command {
  return new Command('snapshots')
    .description('show the snapshots of a share, newest last')
    .argument('<share>', 'ACCOUNT/SHARE')
    .option('--json', 'print them as one JSON document')
    .addHelpText('after', '\nExamples:\n  poolhouse shares snapshots team1234/shared')
    .action(async (name: string, options: { json?: true }) => {
      const { snapshotList } = await read(shared, name);
      printAnswer(options, snapshotList, () => describeSnapshots(snapshotList, tableWidth(process.stdout)));
    });
}

function snapshotCommand(shared: Shared): Command {
  return new Command('snapshot')
    .description('keep what a share holds now, until somebody deletes the snapshot')
    .argument('<share>', 'ACCOUNT/SHARE')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `\nIt is seen in the share as .snapshots/NAME, and in each workspace as .snapshots/NAME there. To delete it:\n  az storage share-rm delete --ids ID --snapshot TIME    (ID and TIME: poolhouse shares show SHARE --json)\n\nExamples:\n  poolhouse shares snapshot team1234/shared`,
    )
    .action(async (share: string, options: { json?: true }) => {
      const text = await tellControl(await adminSocketOf(shared), '/v1/shares', { do: 'snapshot', share });
      const answer = JSON.parse(text) as { share: string; snapshot: string }; // of our own process
      printAnswer(options, answer, () => `${answer.share} is kept as it is now: .snapshots/${answer.snapshot}\n`);
    });
}

interface RestoreOptions {
  snapshot: string;
  path?: string;
  yes?: true;
  wait: boolean;
  json?: true;
}

function restoreCommand(shared: Shared): Command {
  return new Command('restore')
    .description('make a share, or a folder or file in it, what it was in a snapshot')
    .argument('<share>', 'ACCOUNT/SHARE')
    .requiredOption('--snapshot <name>', `as 'poolhouse shares snapshots' lists it`)
    .option('--path <path>', 'only this file or folder, such as notebooks/alice (all of the share)')
    .option('--yes', 'do not ask')
    .option('--no-wait', 'do not wait for its end')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `\nWhat was made since the snapshot is removed. A snapshot of how it is now is taken first (before-restore-…), and kept for 30\ndays. The restore goes on when this command is stopped, control is restarted, or the machine is.\n\nExamples:\n  poolhouse shares restore team1234/shared --snapshot auto-2026-03-01T09-00-00Z --path notebooks/alice\n  poolhouse shares restore team1234/shared --snapshot 2026-03-01T08-12-44Z --yes`,
    )
    .action(async (share: string, options: RestoreOptions) => {
      const { snapshot, path = '' } = options;
      // As of a variable that is not set: the whole share is not what was meant.
      if (options.path?.trim() === '')
        throw new UsageError(`--path: it is empty. Without '--path' all of ${share} is restored.`);
      await ask(
        options,
        `Make ${path === '' ? `all of ${share}` : `${path} of ${share}`} what it was in ${snapshot}? What was made since is removed there; a snapshot of now is taken before.`,
      );
      const socket = await adminSocketOf(shared);
      const begun = JSON.parse(await tellControl(socket, '/v1/shares', { do: 'restore', share, snapshot, path })) as RestoreDocument; // prettier-ignore
      const waiting = {
        read: async () => (await read(shared, begun.share)).restores,
        tell: (message: string) => {
          if (process.stderr.isTTY) process.stderr.write(`${plainLine(message)}\n`);
        },
        signal: shared.signal,
      };
      const ended = options.wait ? await awaitRestore(begun, waiting) : begun;
      if (ended.state === 'Failed') throw new PoolhouseError('OperationNotAllowed', ended.message);
      printAnswer(options, ended, () => plainLine(ended.state === 'Running' ? `It is under way: 'poolhouse shares show ${ended.share}' tells how far.` : ended.message) + '\n'); // prettier-ignore
    });
}

function undeleteCommand(shared: Shared): Command {
  return new Command('undelete')
    .description('bring back a share that was deleted, with all that was in it')
    .argument('<share>', 'ACCOUNT/SHARE')
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExamples:\n  poolhouse shares undelete team1234/shared')
    .action(async (share: string, options: { json?: true }) => {
      const text = await tellControl(await adminSocketOf(shared), '/v1/shares', { do: 'undelete', share });
      const answer = JSON.parse(text) as { share: string }; // of our own process
      printAnswer(options, answer, () => `${answer.share} is there again, and on its instances in a moment.\n`);
    });
}

function purgeCommand(shared: Shared): Command {
  return new Command('purge')
    .description('give up a share that was deleted, before its days are over: nothing brings it back')
    .argument('<share>', 'ACCOUNT/SHARE')
    .option('--yes', 'do not ask')
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExamples:\n  poolhouse shares purge team1234/shared --yes')
    .action(async (share: string, options: { yes?: true; json?: true }) => {
      await ask(options, `Give up ${share} with all that is in it? Nothing brings it back.`);
      const text = await tellControl(await adminSocketOf(shared), '/v1/shares', { do: 'purge', share });
      const answer = JSON.parse(text) as { share: string }; // of our own process
      printAnswer(options, answer, () => `${answer.share} goes, and its name is free in a moment.\n`);
    });
}

async function read(shared: Shared, name: string): Promise<ShareDetails> {
  if (!/^[A-Za-z0-9]+\/[A-Za-z0-9-]+$/.test(name))
    throw new UsageError(`'${name}' names no share: ACCOUNT/SHARE is expected. 'poolhouse shares list' shows them.`);
  const text = await askControl(await adminSocketOf(shared), `/v1/shares/${name.toLowerCase()}`);
  return JSON.parse(text) as ShareDetails; // of our own process
}

/** Goes on where somebody says so. */
async function ask(options: { yes?: true }, question: string): Promise<void> {
  if (options.yes === true) return;
  if (!process.stdin.isTTY) throw new UsageError('This cannot be asked without a terminal: say --yes.');
  const answer = await confirm({ message: question, initialValue: false, output: process.stderr });
  if (isCancel(answer) || !answer) throw new UsageError('Nothing was changed.');
}

/** For people. Pure. */
export function describeShares(shares: readonly ShareDocument[], width: number): string {
  if (shares.length === 0) return 'There are no shares.\n';
  return `${table(
    ['share', 'used', 'quota', 'full', 'snapshots', 'they keep', 'schedule', ''],
    shares.map((one) => [
      ...[one.name, bytesInWords(one.usedBytes), bytesInWords(one.quotaBytes), `${one.percentUsed} %`],
      ...[String(one.snapshots), bytesInWords(one.snapshotBytes), one.schedule],
      one.deleted === undefined ? '' : `deleted, kept for ${one.deleted.daysLeft} days`,
    ]),
    width,
  ).join('\n')}\n`;
}

/** For people. Pure. */
export function describeShare(share: ShareDetails, width: number): string {
  const { name, usedBytes, quotaBytes, percentUsed, snapshotBytes, deleted } = share;
  const lines = [
    `${name}: ${bytesInWords(usedBytes)} of ${bytesInWords(quotaBytes)} used (${percentUsed} %), snapshots keep ${bytesInWords(snapshotBytes)} beside that`,
    ...(deleted === undefined
      ? [`Snapshots by schedule: ${share.schedule}`]
      : [
          `It was deleted, and is kept for ${deleted.daysLeft} days: 'poolhouse shares undelete ${name}' brings it back.`,
        ]),
  ];
  if (share.workspaces.length > 0)
    lines.push(
      '',
      ...table(
        ['workspace', 'used', 'quota'],
        share.workspaces
          .toSorted((one, other) => other.usedBytes - one.usedBytes)
          .map((one) => [
            one.folder,
            bytesInWords(one.usedBytes),
            one.quotaBytes === null ? '(none)' : bytesInWords(one.quotaBytes),
          ]),
        width,
      ),
    );
  if (share.snapshotList.length > 0) lines.push('', describeSnapshots(share.snapshotList, width).trimEnd());
  for (const restore of share.restores)
    lines.push('', plainLine(`Restore of ${restore.startedAt.slice(0, 16)}Z, ${restore.state}: ${restore.message}`));
  return `${lines.join('\n')}\n`;
}

const takers: Readonly<Record<SnapshotDocument['takenBy'], string>> = {
  hand: 'somebody',
  schedule: 'its schedule',
  restore: 'a restore, before it',
  other: 'something else',
};

/** For people. Pure. */
export function describeSnapshots(snapshots: readonly SnapshotDocument[], width: number): string {
  if (snapshots.length === 0) return 'There are no snapshots.\n';
  return `${table(
    ['snapshot', 'taken by'],
    snapshots.map(({ name, takenBy }) => [name, takers[takenBy]]),
    width,
  ).join('\n')}\n`;
}
