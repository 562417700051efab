import { Command } from 'commander';
import { lockHome } from '../host/lock.ts';
import { createProgress, silentProgress } from '../host/progress.ts';
import { restartGateway } from '../host/restart-gateway.ts';
import type { Shared } from './shared.ts';

export function gatewayCommand(shared: Shared): Command {
  return new Command('gateway')
    .description('the process that carries connections')
    .addHelpText('after', '\nExamples:\n  poolhouse gateway restart')
    .addCommand(restartCommand(shared));
}

function restartCommand({ home, signal }: Shared): Command {
  return new Command('restart')
    .description('have a new process take the connections to come; those that there are go on')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `\nThe process that was there takes no new connections any more, carries those it has to their end, and then ends;\nat the latest after 'leaveHours' (config.json, 24). 'poolhouse status' shows it meanwhile. 'poolhouse up' does the\nsame after an upgrade, where it is needed.\n\nExamples:\n  poolhouse gateway restart\n  poolhouse gateway restart --json | jq .pids`,
    )
    .action(async (options: { json?: true }) => {
      const progress = options.json === true ? silentProgress : createProgress(process.stderr);
      const unlock = await lockHome(home, progress, signal);
      try {
        const pids = await restartGateway(home, progress);
        process.stdout.write(
          options.json === true
            ? `${JSON.stringify({ pids })}\n`
            : `New connections go to ${pids.length === 1 ? 'the new gateway' : 'the new gateways'} (pid ${pids.join(', ')}). Those that there were go on.\n`,
        );
      } finally {
        await unlock();
      }
    });
}
