import { resolve } from 'node:path';
import { Command } from 'commander';
import { writeBackup, type BackupResult } from '../host/backup/write-backup.ts';
import { createProgress, silentProgress } from '../host/progress.ts';
import type { Shared } from './shared.ts';
import { UsageError } from './usage-error.ts';

export function backupCommand({ home, signal, program }: Shared): Command {
  return new Command('backup')
    .description('keep this installation in one file; control goes on')
    .argument('<file>', 'where to; a file of this name is replaced once the new one is whole')
    .option('--shares', 'with what shares hold (control has to run)')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `\nExamples:\n  poolhouse backup /backups/poolhouse-$(date +%F).tar --shares\n  poolhouse restore /backups/poolhouse-2026-11-26.tar --master-key /safe/key     on another machine\n\nThe master key, which opens the secrets in the file, is not in it: keep a copy\nof ${home.masterKey} apart from your backups.`,
    )
    .action(async (name: string, options: { shares?: boolean; json?: boolean }) => {
      // From cron nobody watches: there it says nothing but how it ended.
      const isWatched = options.json !== true && process.stderr.isTTY;
      const file = resolve(name);
      const result = await writeBackup(
        home,
        { file, shares: options.shares === true },
        isWatched ? createProgress(process.stderr) : silentProgress,
        signal,
      ).catch((error: unknown) => {
        if (signal.aborted) throw new UsageError('Stopped. Nothing of the backup was kept.');
        throw error;
      });
      process.stdout.write(
        options.json === true
          ? `${JSON.stringify(documentOf(file, home.masterKey, result), null, 2)}\n`
          : describe(file, home.masterKey, result, program),
      );
    });
}

/** Where what opens the secrets is: never in the file. */
function keyWords(keyFile: string, { manifest }: BackupResult): string {
  const { kind } = manifest.masterKey;
  if (kind === 'file')
    return `The secrets in it are sealed. What opens them is NOT in it: keep a copy of ${keyFile} in another place, apart from your backups. Without it this file restores nothing.`;
  if (kind === 'passphrase')
    return 'The secrets in it are sealed. What opens them is the passphrase, which is written down nowhere: without it this file restores nothing.';
  return 'The secrets in it are sealed. What opens them is the credential that systemd gives to control: keep it apart from your backups. Without it this file restores nothing.';
}

function documentOf(file: string, keyFile: string, result: BackupResult): object {
  const { backup, createdAt, installation, poolhouse, masterKey, elsewhere, shares } = result.manifest;
  return {
    ...{ file, bytes: result.bytes, backup, createdAt, installation, poolhouse },
    masterKey: { ...masterKey, inBackup: false, ...(masterKey.kind === 'file' ? { file: keyFile } : {}) },
    elsewhere,
    shares: shares?.map(({ account, share, folders }) => ({ account, share, folders: folders.length })) ?? null,
  };
}

function describe(file: string, keyFile: string, result: BackupResult, program: string): string {
  const { manifest, bytes } = result;
  const size = bytes < 2 ** 20 ? `${Math.ceil(bytes / 1_024)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
  const count = manifest.shares?.length;
  return [
    `${file} is whole (${size}): store, configuration, certificates, recipes${count === undefined ? '' : `, and what ${count} share${count === 1 ? '' : 's'} held`}.`,
    ...(count === undefined ? ['What shares hold is not in it; --shares takes it too.'] : []),
    keyWords(keyFile, result),
    ...(manifest.elsewhere.length === 0
      ? []
      : [`Also not in it, for they lie elsewhere: ${manifest.elsewhere.join(', ')}`]),
    `${program} restore ${file} makes it this installation again, on an empty machine.`,
    '',
  ].join('\n');
}
