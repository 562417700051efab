import { Command } from 'commander';
import type { GiveUpAnswer } from '../control/give-up-mount.ts';
import { tellControl } from '../host/local-api.ts';
import { adminSocketOf } from './admin-socket.ts';
import { printAnswer } from './people-words.ts';
import type { Shared } from './shared.ts';

export function unmountCommand(shared: Shared): Command {
  return new Command('unmount')
    .description('take a share away from one instance for good; its files stay')
    .argument('<instance>', `its name in 'poolhouse status'`)
    .argument('<path>', 'where the share is mounted there, such as /mnt/shared')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `\nWhat is unmounted inside an instance is mounted again: a pool is to have its files. This gives a mount up.\nTake its line out of /etc/fstab there first, where it has one. Whatever has files open there keeps them open.\n\nExample:\n  poolhouse unmount sharedpool000001 /mnt/shared`,
    )
    .action(async (instance: string, path: string, options: { json?: true }) => {
      const text = await tellControl(await adminSocketOf(shared), '/v1/unmounts', { instance, path });
      const answer = JSON.parse(text) as GiveUpAnswer; // of our own process
      printAnswer(
        options,
        answer,
        () => `${answer.account}/${answer.share} is not mounted at ${answer.path} of ${answer.instance} any more.\n`,
      );
    });
}
