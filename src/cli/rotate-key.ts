import { Command, Option } from 'commander';
import type { Config } from '../core/config.ts';
import { PoolhouseError } from '../core/errors.ts';
import { runtimeFolderOf } from '../core/home.ts';
import { readConfigFile } from '../host/config-file.ts';
import { readInstallation } from '../host/installations.ts';
import { lockHome } from '../host/lock.ts';
import { rotateMasterKey } from '../host/master-key.ts';
import { createProgress, silentProgress } from '../host/progress.ts';
import { passphraseFrom } from './ask-passphrase.ts';
import type { Shared } from './shared.ts';

interface Options {
  to?: Config['masterKey'];
  passphraseFile?: string;
  keyFile?: string;
  json?: boolean;
}

export function rotateKeyCommand({ home, signal }: Shared): Command {
  return new Command('rotate-key')
    .description('seal all secrets anew, with a new master key; control goes on')
    .addOption(
      new Option('--to <kind>', 'where the new key is kept (as the present one, unless said)').choices([
        'file',
        'passphrase',
        'credential',
      ]),
    )
    .option(
      '--passphrase-file <file>',
      'where the new passphrase is read from (- for standard input); asked for without it',
    )
    .option('--key-file <file>', 'the 32 bytes that the credential of the unit will hold')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      '\nExamples:\n  poolhouse rotate-key                    a new random key in place of the old one\n  poolhouse rotate-key --to passphrase    asked for after each start of the machine\n\nA copy of the store from before opens with the old key only.',
    )
    .action(async (options: Options) => {
      const installation = await readInstallation(home);
      if (installation === undefined)
        throw new PoolhouseError(
          'HostNotReady',
          `There is no installation in ${home.folder} yet. 'poolhouse up' makes one.`,
        );
      const progress = options.json === true ? silentProgress : createProgress(process.stderr);
      const unlock = await lockHome(home, progress, signal);
      try {
        const kind = options.to ?? (await readConfigFile(home.config)).config.masterKey;
        await rotateMasterKey({
          home,
          run: runtimeFolderOf(home, installation.id, process.getuid?.() === 0),
          installation,
          kind,
          passphrase: passphraseFrom(options.passphraseFile),
          credentialFile: options.keyFile,
        });
        process.stdout.write(
          options.json === true
            ? `${JSON.stringify({ masterKey: kind })}\n`
            : `Every secret is sealed with a new key now (kept as: ${kind}). Copies of the store from before open with the old key only.\n`,
        );
      } finally {
        await unlock();
      }
    });
}
