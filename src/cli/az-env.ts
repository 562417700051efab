import { Command, Option } from 'commander';
import { join } from 'node:path';
import { PoolhouseError } from '../core/errors.ts';
import { ensureAzConfiguration, type AzProfile } from '../host/az.ts';
import { readClientSecret } from '../host/client-secret.ts';
import { readInstallation } from '../host/installations.ts';
import { installPackages, missingPackages } from '../host/packages.ts';
import { createProgress } from '../host/progress.ts';
import { runCommand } from '../host/run-command.ts';
import type { Shared } from './shared.ts';

export function azEnvCommand({ home, signal }: Shared): Command {
  return new Command('az-env')
    .description('print the environment in which az speaks to this installation, signed in')
    .addOption(
      new Option('--profile <profile>', `az's API profile: 'hybrid' for vmss, vm and network commands`)
        .choices(['latest', 'hybrid'])
        .default('latest'),
    )
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      '\nExamples:\n  eval "$(poolhouse az-env)"; az group list\n  eval "$(poolhouse az-env --profile hybrid)"; az vmss list',
    )
    .action(async (options: { profile: AzProfile; json?: boolean }) => {
      const installation = await readInstallation(home);
      if (installation === undefined)
        throw new PoolhouseError(
          'HostNotReady',
          `There is no installation in ${home.folder} yet. 'poolhouse up' makes one.`,
        );
      const progress = createProgress(process.stderr);
      if (!(await hasAz()))
        await progress.step('the az command line', (phase) => installPackages(['azure-cli'], phase, signal));
      const variables = await progress.step('signing in', async () =>
        ensureAzConfiguration({
          folder: home.az,
          profile: options.profile,
          url: `https://127.0.0.1:${installation.apiPort}`,
          caFile: join(home.certificates, 'ca.pem'),
          tenantId: installation.tenantId,
          clientId: installation.clientId,
          secret: await readClientSecret(home, installation),
          environment: process.env,
          progress,
          signal,
        }),
      );
      const lines = Object.entries(variables).map(
        ([name, value]) => `export ${name}='${value.replaceAll("'", `'\\''`)}'`,
      );
      process.stdout.write(options.json === true ? `${JSON.stringify(variables, null, 2)}\n` : `${lines.join('\n')}\n`);
    });
}

/** Any az will do; where there is none, Debian's is looked for. */
async function hasAz(): Promise<boolean> {
  const found = await runCommand('sh', ['-c', 'command -v az'], { timeoutMs: 10_000 });
  return found.exitCode === 0 || (await missingPackages(['azure-cli'])).length === 0;
}
