import { Command, Option } from 'commander';
import { createProgress, silentProgress } from '../host/progress.ts';
import { connectingWords, ensureSample } from '../host/sample.ts';
import { lockHome } from '../host/lock.ts';
import { up, upAtBoot } from '../host/up.ts';
import { passphraseFrom } from './ask-passphrase.ts';
import { readStatus } from './status.ts';
import type { Shared } from './shared.ts';
import { UsageError } from './usage-error.ts';
import { isIPv4 } from 'node:net';

interface Options {
  sample?: boolean;
  engine?: 'incus' | 'sim';
  address: string[];
  passphraseFile?: string;
  json?: boolean;
  boot?: boolean;
}

export function upCommand({ home, signal, program }: Shared): Command {
  return new Command('up')
    .description('prepare this machine where it is not, and start control and gateway')
    .option('--sample', 'also deploy examples/shared-pool (not again once it was deleted)')
    .addOption(new Option('--engine <engine>', 'where instances come from').choices(['incus', 'sim']))
    .option(
      '--address <address>',
      `an address of this host that pools may have (repeatable)`,
      (value: string, before: string[]) => [...before, value],
      [] as string[],
    )
    .option('--passphrase-file <file>', `where the passphrase is read from (- for standard input), where there is one`)
    .option('--json', 'print one JSON document')
    .addOption(new Option('--boot', 'start what this machine was prepared for, and ask nobody').hideHelp())
    .addHelpText(
      'after',
      '\nExamples:\n  poolhouse up --sample\n  poolhouse up --address 192.0.2.10     pools are reached from other machines too\n  POOLHOUSE_HOME=~/try poolhouse up --engine sim     look around without root\n\nRunning it again changes nothing. An address is led to pools as a whole: a pool\nwith a rule for port 22 takes that port of that address from the host.',
    )
    .action(async (options: Options) => {
      const wrong = options.address.find((address) => !isIPv4(address));
      if (wrong !== undefined) throw new UsageError(`'${wrong}' is not an IPv4 address.`);
      const progress = options.json === true ? silentProgress : createProgress(process.stderr);
      const unlock = await lockHome(home, progress, signal);
      try {
        if (options.boot === true) {
          await upAtBoot(home, progress, signal);
          return;
        }
        const result = await up(
          home,
          {
            ...(options.engine === undefined ? {} : { engine: options.engine }),
            addresses: options.address,
            passphrase: passphraseFrom(options.passphraseFile),
          },
          progress,
          signal,
        );
        const sample = options.sample === true ? await ensureSample(home, result, progress, signal) : undefined;
        if (options.json === true) process.stdout.write(`${JSON.stringify(await readStatus(home), null, 2)}\n`);
        else
          process.stdout.write(
            sample === undefined
              ? `Poolhouse is up: ${result.url}\n  ${program} status shows pools; eval "$(${program} az-env)" makes az use it.\n`
              : connectingWords(sample, program),
          );
      } finally {
        await unlock();
      }
    });
}
