import { Command } from 'commander';
import type { DrainAnswer } from '../control/operator-drain.ts';
import { tellControl } from '../host/local-api.ts';
import { adminSocketOf } from './admin-socket.ts';
import { printAnswer } from './people-words.ts';
import type { Shared } from './shared.ts';

export function drainCommand(shared: Shared): Command {
  return new Command('drain')
    .description('send nobody new to an instance; who is on it stays, and so does the instance')
    .argument('<instance>', `its name in 'poolhouse status'`)
    .option('--off', 'send people there again')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `\nNothing that scales by itself ends such a drain. To have the instance go as well, delete it by its id once nobody is there:\n  az vmss delete-instances -g GROUP -n NAME --instance-ids ID\n\nExamples:\n  poolhouse drain sharedpool000001\n  poolhouse drain sharedpool000001 --off`,
    )
    .action(async (instance: string, options: { off?: true; json?: true }) => {
      const request = { instance, off: options.off === true };
      const text = await tellControl(await adminSocketOf(shared), '/v1/drains', request);
      const answer = JSON.parse(text) as DrainAnswer; // of our own process
      printAnswer(options, answer, () =>
        answer.draining
          ? `${answer.instance} takes nobody new. 'poolhouse drain ${answer.instance} --off' ends that.\n`
          : `${answer.instance} takes people again.\n`,
      );
    });
}
