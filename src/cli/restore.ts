import { createInterface } from 'node:readline/promises';
import { resolve } from 'node:path';
import { Command } from 'commander';
import type { Manifest } from '../host/backup/manifest.ts';
import { restore, type RestoreResult } from '../host/backup/restore.ts';
import { lockHome } from '../host/lock.ts';
import { createProgress, silentProgress } from '../host/progress.ts';
import { passphraseFrom } from './ask-passphrase.ts';
import type { Shared } from './shared.ts';
import { UsageError } from './usage-error.ts';

interface Options {
  masterKey?: string;
  passphraseFile?: string;
  yes?: boolean;
  json?: boolean;
}

export function restoreCommand({ home, signal, program }: Shared): Command {
  return new Command('restore')
    .description('make the installation of a backup again, on a machine without it')
    .argument('<file>', 'what poolhouse backup wrote')
    .option('--master-key <keyfile>', 'the copy of secrets/key that was kept apart')
    .option('--passphrase-file <file>', `where the passphrase is read from (- for standard input), where there is one`)
    .option('--yes', 'do not ask')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `\nExamples:\n  poolhouse restore /backups/poolhouse-2026-11-26.tar --master-key /safe/key\n\nThe home (${home.folder}) has to be empty or not there. The same command goes on\nwhere it was cut off; nobody gets in before it has ended. End the installation that\nthe backup is of before: two of them would answer for the same.`,
    )
    .action(async (name: string, options: Options) => {
      const progress = options.json === true ? silentProgress : createProgress(process.stderr);
      const file = resolve(name);
      const unlock = await lockHome(home, progress, signal);
      try {
        const result = await restore(
          home,
          {
            file,
            ...(options.masterKey === undefined ? {} : { masterKeyFile: options.masterKey }),
            passphrase: passphraseFrom(options.passphraseFile),
            confirm: (manifest) => (options.yes === true ? Promise.resolve() : ask(home.folder, manifest)),
          },
          progress,
          signal,
        );
        process.stdout.write(
          options.json === true ? `${JSON.stringify(documentOf(result), null, 2)}\n` : describe(result, program),
        );
      } finally {
        await unlock();
      }
    });
}

async function ask(folder: string, { createdAt, installation, shares }: Manifest): Promise<void> {
  const what = `This makes the installation ${installation} again in ${folder}, as it was at ${createdAt}${shares === undefined ? ', with empty shares' : ''}. The one that the backup is of must not run any more.`;
  if (!process.stdin.isTTY) throw new UsageError(`${what} Say --yes to do it.`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(`${what}\nType "restore" to go on: `);
  terminal.close();
  if (answer.trim() !== 'restore') throw new UsageError('Nothing was restored.');
}

function documentOf({ manifest, url, filled, warnings }: RestoreResult): object {
  const { backup, createdAt, installation } = manifest;
  return { ...{ installation, url, backup, createdAt }, shares: filled, warnings };
}

function describe({ manifest, url, filled, warnings }: RestoreResult, program: string): string {
  return [
    `The installation ${manifest.installation} is there again, as it was at ${manifest.createdAt}: ${url}`,
    ...(manifest.shares === undefined ? [] : [`Filled: ${filled.shares} share${filled.shares === 1 ? '' : 's'}.`]),
    ...(filled.passedOver.length === 0
      ? []
      : [`Passed over, for they were deleted when the backup was made: ${filled.passedOver.join(', ')}`]),
    ...warnings.map((warning) => `Look at this: ${warning}`),
    `Its instances are made anew now, which takes a while. Look whether all is as it was:`,
    `  ${program} status                   pools, addresses and ports (those that were taken here are others now)`,
    `  eval "$(${program} az-env)"         az signs in as before; the API's port may be another`,
    '',
  ].join('\n');
}
