import { Command } from 'commander';
import type { SessionDocument } from '../control/choose-sessions.ts';
import { PoolhouseError } from '../core/errors.ts';
import { askControl, tellControl } from '../host/local-api.ts';
import { adminSocketOf } from './admin-socket.ts';
import { printAnswer } from './people-words.ts';
import { plainLine } from './plain-text.ts';
import type { Shared } from './shared.ts';
import { table, tableWidth } from './table.ts';
import { UsageError } from './usage-error.ts';

interface ChoiceOptions {
  pool?: string;
  user?: string;
  instance?: string;
  json?: true;
}

export function sessionsCommand(shared: Shared): Command {
  const command = new Command('sessions')
    .description('who is where: show sessions of people, tell them something, end them')
    .addHelpText(
      'after',
      `\nExamples:\n  poolhouse sessions list\n  poolhouse sessions message --pool sharedpool 'The network is slow until noon.'\n  poolhouse sessions end 3f2a --reason 'Your job fills the disk.'\n  poolhouse sessions list --json | jq -r .[].user\n\nEach command explains itself: poolhouse sessions end --help`,
    );
  for (const make of [listCommand, showCommand, messageCommand, endCommand]) command.addCommand(make(shared));
  return command;
}

function withChoice(command: Command): Command {
  return command
    .option('--user <name>', 'those of this person')
    .option('--pool <pool>', 'those in this pool: NAME or GROUP/NAME of the scale set')
    .option('--instance <name>', `those on this instance, by its name in 'poolhouse status'`);
}

function listCommand(shared: Shared): Command {
  return withChoice(new Command('list').description('show sessions, oldest first'))
    .option('--json', 'print them as one JSON document')
    .addHelpText('after', '\nExamples:\n  poolhouse sessions list --pool sharedpool\n  poolhouse sessions list --json')
    .action(async (options: ChoiceOptions) => {
      const sessions = await read(shared, choiceOf(undefined, options));
      printAnswer(options, sessions, () => describeSessions(sessions, tableWidth(process.stdout)));
    });
}

function showCommand(shared: Shared): Command {
  return new Command('show')
    .description('show one session')
    .argument('<id>', 'its id, or a beginning that no other has')
    .option('--json', 'print it as one JSON document')
    .addHelpText('after', '\nExamples:\n  poolhouse sessions show 3f2a')
    .action(async (id: string, options: { json?: true }) => {
      const [session] = await read(shared, choiceOf(id, {}));
      if (session === undefined) throw new PoolhouseError('ResourceNotFound', `There is no session '${id}'.`);
      printAnswer(options, session, () => describeSession(session));
    });
}

function messageCommand(shared: Shared): Command {
  return withChoice(
    new Command('message')
      .description('show people a line at their terminals')
      .usage('[options] (ID | --user U | --pool P | --instance I) TEXT')
      .argument('[id]', `a session's id, or a beginning that no other has`)
      .argument('[text]', 'the line, as one argument'),
  )
    .option('--json', 'print the sessions as one JSON document')
    .addHelpText(
      'after',
      `\nPrograms without a terminal (scp, rsync) are told nothing.\n\nExamples:\n  poolhouse sessions message 3f2a 'Please close your notebook.'\n  poolhouse sessions message --pool sharedpool 'Maintenance begins at noon.'`,
    )
    .action(async (first: string | undefined, second: string | undefined, options: ChoiceOptions) => {
      const isChosen = hasChoice(options);
      // With a choice by option, the text stands alone.
      const [id, text] = isChosen && second === undefined ? [undefined, first] : [first, second];
      if (text === undefined)
        throw new UsageError(
          `Give the text, as one argument in quotes. 'poolhouse sessions message --help' has examples.`,
        );
      const choice = choiceOf(id, options, 'message');
      const sessions = await order(shared, { choice, message: text });
      printAnswer(options, sessions, () => `${howMany(sessions)} told.\n`);
    });
}

function endCommand(shared: Shared): Command {
  return withChoice(
    new Command('end')
      .description('end sessions; what people started in the background goes on, and their files stay')
      .usage('[options] (ID | --user U | --pool P | --instance I)')
      .argument('[id]', `a session's id, or a beginning that no other has`),
  )
    .option('--reason <text>', 'what the person is told')
    .option('--json', 'print the sessions as one JSON document')
    .addHelpText(
      'after',
      `\nThey may come back at once: 'poolhouse users set NAME --disable' keeps somebody out.\n\nExamples:\n  poolhouse sessions end 3f2a --reason 'Your job fills the disk.'\n  poolhouse sessions end --user alice`,
    )
    .action(async (id: string | undefined, options: ChoiceOptions & { reason?: string }) => {
      const choice = choiceOf(id, options, 'end');
      const end = options.reason === undefined ? {} : { reason: options.reason };
      const sessions = await order(shared, { choice, end });
      printAnswer(options, sessions, () => `${howMany(sessions)} ended.\n`);
    });
}

const hasChoice = ({ user, pool, instance }: ChoiceOptions) =>
  user !== undefined || pool !== undefined || instance !== undefined;

/** What was named; `verb`: at least one thing has to be. */
function choiceOf(id: string | undefined, options: ChoiceOptions, verb?: string): Record<string, string> {
  const { user, pool, instance } = options;
  if (id !== undefined && hasChoice(options))
    throw new UsageError('An id names one session: give it without --user, --pool and --instance.');
  if (verb !== undefined && id === undefined && !hasChoice(options))
    throw new UsageError(
      `Say which sessions: an id, --user, --pool or --instance. 'poolhouse sessions ${verb} --help' has examples.`,
    );
  return Object.fromEntries(
    Object.entries({ id, user, pool, instance }).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

async function read(shared: Shared, choice: Record<string, string>): Promise<SessionDocument[]> {
  const query = new URLSearchParams(choice).toString();
  return documentsOf(await askControl(await adminSocketOf(shared), `/v1/sessions${query === '' ? '' : `?${query}`}`));
}

async function order(shared: Shared, request: object): Promise<SessionDocument[]> {
  return documentsOf(await tellControl(await adminSocketOf(shared), '/v1/sessions', request));
}

const documentsOf = (text: string) => (JSON.parse(text) as { sessions: SessionDocument[] }).sessions; // of our own process

const howMany = (sessions: readonly SessionDocument[]) =>
  sessions.length === 1 ? '1 session was' : `${String(sessions.length)} sessions were`;

/** As long as they must be to be told apart. */
export function shortIds(ids: readonly string[], least = 8): string[] {
  let length = least;
  while (length < 36 && new Set(ids.map((id) => id.slice(0, length))).size < new Set(ids).size) length += 1;
  return ids.map((id) => id.slice(0, length));
}

/** For people: a table that fits their terminal. Pure. */
export function describeSessions(sessions: readonly SessionDocument[], width: number): string {
  if (sessions.length === 0) return 'Nobody has a session there.\n';
  const ids = shortIds(sessions.map(({ id }) => id));
  const rows = sessions.map((one, index) => [
    ids[index] ?? one.id,
    one.user,
    one.pool,
    one.drainsUntil === null ? one.instance : `${one.instance} (drains)`,
    one.protocol,
    shortTime(one.since),
    one.from,
  ]);
  return `${table(['id', 'user', 'pool', 'instance', 'protocol', 'since', 'from'], rows, width).join('\n')}\n`;
}

function describeSession(session: SessionDocument): string {
  const { id, user, pool, instance, protocol, since, from, drainsUntil } = session;
  const lines = [
    id,
    `  user      ${user}`,
    `  pool      ${pool}`,
    `  instance  ${instance}${drainsUntil === null ? '' : ` (drains, until ${shortTime(drainsUntil)})`}`,
    `  protocol  ${protocol}`,
    `  since     ${shortTime(since)}`,
    `  from      ${from}`,
  ];
  return `${lines.map(plainLineKept).join('\n')}\n`;
}

/** Indentation stays. */
const plainLineKept = (line: string) => `${/^ */.exec(line)?.[0] ?? ''}${plainLine(line.trimStart())}`;

/** In UTC, as the logs. */
const shortTime = (iso: string) => `${iso.slice(0, 16).replace('T', ' ')}Z`;
