/** The command line: each command is a file; here they are put together. */
import { Command, CommanderError } from 'commander';
import { homeAt } from '../core/home.ts';
import { errorBodyOf, PoolhouseError, type ErrorBody } from '../core/errors.ts';
import { describeBuild, readBuild } from '../host/build.ts';
import { azEnvCommand } from './az-env.ts';
import { backupCommand } from './backup.ts';
import { costsCommand } from './costs.ts';
import { deployCommand } from './deploy.ts';
import { downCommand } from './down.ts';
import { drainCommand } from './drain.ts';
import { gatewayCommand } from './gateway.ts';
import { groupsCommand } from './groups.ts';
import { hostKeysCommand } from './host-keys.ts';
import { logsCommand } from './logs.ts';
import { plainText } from './plain-text.ts';
import { restoreCommand } from './restore.ts';
import { rotateKeyCommand } from './rotate-key.ts';
import { sessionsCommand } from './sessions.ts';
import { sharesCommand } from './shares.ts';
import { simulateCommand } from './simulate.ts';
import { statusCommand } from './status.ts';
import { unmountCommand } from './unmount.ts';
import { usersCommand } from './users.ts';
import { upCommand } from './up.ts';
import { whyCommand } from './why.ts';
import { UsageError } from './usage-error.ts';

async function main(argv: readonly string[]): Promise<number> {
  // Whoever reads may stop reading (`poolhouse logs | head`): that is no failure.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    process.exit(error.code === 'EPIPE' ? 0 : 1);
  });
  const stopping = new AbortController();
  // Ctrl-C, or the end of a unit of systemd's; a second one ends it at once.
  for (const name of ['SIGINT', 'SIGTERM'] as const)
    process.on(name, () => {
      if (stopping.signal.aborted) process.exit(130);
      stopping.abort(new UsageError('Stopped. The same command goes on where this one ended.'));
    });
  const shared = {
    home: homeAt(process.env['POOLHOUSE_HOME'] ?? '/var/lib/poolhouse'),
    program: process.env['POOLHOUSE_PROGRAM'] ?? 'poolhouse',
    signal: stopping.signal,
  };
  const program = new Command('poolhouse')
    .description('One address, one pool of identical machines, the same files on each.')
    .option('-V, --version', 'print version and build (with --json as one document)')
    .on('option:version', () => showVersion(argv.includes('--json')))
    .exitOverride()
    .showSuggestionAfterError()
    .showHelpAfterError('(poolhouse --help shows what there is)')
    .addHelpText(
      'after',
      '\nExamples:\n  poolhouse up --sample              prepare this machine, and deploy a first pool\n  poolhouse status                   what there is, and how to reach it\n  eval "$(poolhouse az-env)"         use az with this installation\n\nState is kept in $POOLHOUSE_HOME (/var/lib/poolhouse).',
    );
  for (const command of [
    upCommand,
    downCommand,
    statusCommand,
    logsCommand,
    azEnvCommand,
    deployCommand,
    usersCommand,
    groupsCommand,
    sessionsCommand,
    sharesCommand,
    drainCommand,
    unmountCommand,
    costsCommand,
    whyCommand,
    simulateCommand,
    hostKeysCommand,
    gatewayCommand,
    rotateKeyCommand,
    backupCommand,
    restoreCommand,
  ]) {
    program.addCommand(inheriting(command(shared), program));
  }
  try {
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    return report(error, argv.includes('--json'), stopping.signal);
  }
}

/** A command with those beneath it: all of them end and complain as the program does. */
function inheriting(command: Command, parent: Command): Command {
  command.copyInheritedSettings(parent);
  for (const inner of command.commands) inheriting(inner, command);
  return command;
}

function showVersion(json: boolean): never {
  const build = readBuild();
  process.stdout.write(
    json ? `${JSON.stringify({ ...build, node: process.versions.node }, null, 2)}\n` : `${describeBuild(build)}\n`,
  );
  throw new CommanderError(0, 'commander.version', 'the version was asked for');
}

function report(error: unknown, json: boolean, stopped: AbortSignal): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2;
  if (error instanceof UsageError) {
    process.stderr.write(`${error.message}\n`);
    return stopped.aborted ? 130 : 2;
  }
  if (stopped.aborted) {
    process.stderr.write(`Stopped. The same command goes on where this one ended.\n`);
    return 130;
  }
  const body = errorBodyOf(error);
  if (json) process.stderr.write(`${JSON.stringify({ error: body })}\n`);
  else process.stderr.write(`${plainText(describe(body))}\n`);
  if (process.env['POOLHOUSE_DEBUG'] === '1' || !(error instanceof PoolhouseError))
    process.stderr.write(`${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
  return 1;
}

/** An error with what is beneath it, indented. */
function describe(body: ErrorBody, indent = ''): string {
  const head = `${indent}${body.code}: ${body.message.split('\n').join(`\n${indent}  `)}`;
  return [head, ...(body.details ?? []).map((detail) => describe(detail, `${indent}  `))].join('\n');
}

process.exitCode = await main(process.argv.slice(2));
