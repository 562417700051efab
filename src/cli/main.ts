/** The command line: each command is a file; here they are put together. */
import { existsSync } from 'node:fs';
import { enableCompileCache } from 'node:module';
import { Command, CommanderError } from 'commander';
import { homeAt } from '../core/home.ts';
import { errorBodyOf, PoolhouseError, type ErrorBody } from '../core/errors.ts';
import { describeBuild, readBuild } from '../host/build.ts';
import { plainText } from './plain-text.ts';
import type { Shared } from './shared.ts';
import { UsageError } from './usage-error.ts';

/** In the order in which help shows them. A file is read when its command is asked for: no command waits for what others need. */
const commands: Readonly<Record<string, () => Promise<(shared: Shared) => Command>>> = {
  up: async () => (await import('./up.ts')).upCommand,
  down: async () => (await import('./down.ts')).downCommand,
  status: async () => (await import('./status.ts')).statusCommand,
  logs: async () => (await import('./logs.ts')).logsCommand,
  'az-env': async () => (await import('./az-env.ts')).azEnvCommand,
  deploy: async () => (await import('./deploy.ts')).deployCommand,
  users: async () => (await import('./users.ts')).usersCommand,
  groups: async () => (await import('./groups.ts')).groupsCommand,
  sessions: async () => (await import('./sessions.ts')).sessionsCommand,
  shares: async () => (await import('./shares.ts')).sharesCommand,
  drain: async () => (await import('./drain.ts')).drainCommand,
  unmount: async () => (await import('./unmount.ts')).unmountCommand,
  costs: async () => (await import('./costs.ts')).costsCommand,
  why: async () => (await import('./why.ts')).whyCommand,
  simulate: async () => (await import('./simulate.ts')).simulateCommand,
  'host-keys': async () => (await import('./host-keys.ts')).hostKeysCommand,
  gateway: async () => (await import('./gateway.ts')).gatewayCommand,
  'rotate-key': async () => (await import('./rotate-key.ts')).rotateKeyCommand,
  backup: async () => (await import('./backup.ts')).backupCommand,
  restore: async () => (await import('./restore.ts')).restoreCommand,
};

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
  const home = homeAt(process.env['POOLHOUSE_HOME'] ?? '/var/lib/poolhouse');
  // Halves what a command takes until it begins. Control made the folder: where there is none, none is made for this.
  if (existsSync(home.compiled)) enableCompileCache(home.compiled);
  const shared = {
    home,
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
  for (const load of chosen(argv)) program.addCommand(inheriting((await load())(shared), program));
  try {
    await program.parseAsync(argv, { from: 'user' });
    return 0;
  } catch (error) {
    return report(error, argv.includes('--json'), stopping.signal);
  }
}

/** The command that is asked for; all of them where none is, as for help and for what is mistyped. */
function chosen(argv: readonly string[]) {
  const word = argv[0] ?? '';
  const asked = Object.hasOwn(commands, word) ? commands[word] : undefined;
  return asked === undefined ? Object.values(commands) : [asked];
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
