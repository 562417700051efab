import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import { Command, Option } from 'commander';
import { down, destroy } from '../host/down.ts';
import { lockHome } from '../host/lock.ts';
import { createProgress, silentProgress } from '../host/progress.ts';
import type { Shared } from './shared.ts';
import { UsageError } from './usage-error.ts';

export function downCommand({ home, signal }: Shared): Command {
  return new Command('down')
    .description('stop control and gateway; instances and data stay')
    .option('--destroy', 'remove everything that is ours: instances, shares, images, network, state')
    .option('--yes', 'do not ask')
    .option('--json', 'print one JSON document')
    .addOption(new Option('--boot', 'stop them only until the machine starts again').hideHelp())
    .addHelpText(
      'after',
      '\nExamples:\n  poolhouse down\n  poolhouse down --destroy          removes all pools and all files on their shares',
    )
    .action(async (options: { destroy?: boolean; yes?: boolean; json?: boolean; boot?: boolean }) => {
      const progress = options.json === true ? silentProgress : createProgress(process.stderr);
      if (options.destroy === true && options.yes !== true) await ask(home.folder);
      // Where there is no home there is nothing to lock, and none is made.
      const unlock = existsSync(home.folder) ? await lockHome(home, progress, signal) : () => Promise.resolve();
      try {
        const said =
          options.destroy === true
            ? { removed: await destroy(home, progress, signal) }
            : { stopped: await down(home, progress, options.boot === true ? 'boot' : 'start') };
        process.stdout.write(options.json === true ? `${JSON.stringify(said)}\n` : describe(said));
      } finally {
        await unlock();
      }
    });
}

function describe(said: { removed: string[] } | { stopped: string[] }): string {
  if ('removed' in said)
    return said.removed.length === 0
      ? 'There was nothing to remove.\n'
      : `Removed: ${said.removed.join(', ')}. Debian packages stay.\n`;
  return said.stopped.length === 0
    ? 'Nothing was running.\n'
    : `Stopped: ${said.stopped.join(', ')}. Instances and data stay; 'poolhouse up' starts again.\n`;
}

async function ask(folder: string): Promise<void> {
  if (!process.stdin.isTTY)
    throw new UsageError(`This removes all pools, and all files on their shares (${folder}). Say --yes to do it.`);
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await terminal.question(
    `This removes all pools, and all files on their shares (${folder}).\nType "destroy" to go on: `,
  );
  terminal.close();
  if (answer.trim() !== 'destroy') throw new UsageError('Nothing was removed.');
}
