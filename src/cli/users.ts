import { Command } from 'commander';
import { PoolhouseError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import { parseSshKey } from '../identity/ssh-keys.ts';
import type { UserDocument } from '../providers/identity/documents.ts';
import { askPassword } from './ask-password.ts';
import { openArm } from './open-arm.ts';
import {
  each,
  listAfter,
  poolsAfter,
  quotaAfter,
  segmentOf,
  readKeys,
  withPoolOptions,
  withQuotaOption,
  type PoolOptions,
} from './people-options.ts';
import { poolsInWords, printAnswer, quotaInWords, shortQuota } from './people-words.ts';
import { plainLine } from './plain-text.ts';
import type { Shared } from './shared.ts';
import { table, tableWidth } from './table.ts';
import { UsageError } from './usage-error.ts';
import { readUsage, usageInWords, type Usage } from './workspace-usage.ts';

const base = '/providers/Poolhouse.Identity/users';
const pathOf = (name: string) => `${base}/${segmentOf('user', name)}`;
/** In our own API's shape. */
const documentOf = (body: JsonObject) => body as unknown as UserDocument;

interface AddOptions extends PoolOptions {
  passwordStdin?: true;
  sshKey?: string[];
  group?: string[];
  sudo?: boolean;
  quota?: string;
  json?: true;
}

interface SetOptions extends AddOptions {
  /** False for `--no-password`. */
  password: boolean;
  removeSshKey?: string[];
  removeGroup?: string[];
  enable?: true;
  disable?: true;
}

const sudoWarning =
  'may become root on every instance that they enter, and so read all files of every share that is mounted there';

export function usersCommand(shared: Shared): Command {
  const command = new Command('users')
    .description('people: who they are, how they sign in, which pools they may enter')
    .addHelpText(
      'after',
      '\nExamples:\n  poolhouse users add alice --ssh-key ~/.ssh/id_ed25519.pub\n  poolhouse users set alice --disable\n  poolhouse users list --json\n\nEach command explains itself: poolhouse users add --help',
    );
  for (const make of [addCommand, listCommand, showCommand, setCommand, removeCommand])
    command.addCommand(make(shared));
  return command;
}

function addCommand(shared: Shared): Command {
  const command = new Command('add')
    .description('add a person')
    .argument('<name>', `1 to 32 of a-z, 0-9, '_' and '-', beginning with a letter or '_'`)
    .option('--password-stdin', 'read a password from standard input; at a terminal it is asked for')
    .option(
      '--ssh-key <file-or-url>',
      'public keys to sign in with: a file, or a URL that control fetches (repeatable)',
      each,
    )
    .option('--group <group>', 'a group that they are in (repeatable)', each)
    .option('--sudo', `they ${sudoWarning}`);
  return withPoolOptions(withQuotaOption(command, 'their workspace', true), 'user', false)
    .option('--json', 'print the user as one JSON document')
    .addHelpText(
      'after',
      `\nWithout --pool they may enter every pool.\n\nExamples:\n  poolhouse users add alice --ssh-key ~/.ssh/id_ed25519.pub\n  poolhouse users add bob --ssh-key https://github.com/bob.keys --group team --pool sharedpool\n  printf %s "$PASSWORD" | poolhouse users add carol --password-stdin`,
    )
    .action(async (name: string, options: AddOptions) => {
      const pools = poolsAfter(options, []);
      const quota = quotaAfter(options.quota, true);
      const sshKeys = await readKeys(options.sshKey ?? []);
      const arm = await openArm(shared);
      const password = options.passwordStdin === true ? await askPassword(name) : undefined;
      const properties: JsonObject = {
        ...(password === undefined ? {} : { password }),
        sshKeys,
        groups: options.group ?? [],
        ...(pools === undefined ? {} : { pools }),
        sudo: options.sudo ?? false,
        ...(quota === undefined ? {} : { quota }),
      };
      const { body } = await arm
        .send('PUT', pathOf(name), { properties }, { 'if-none-match': '*' })
        .catch((error: unknown) => {
          if (!(error instanceof PoolhouseError) || error.code !== 'PreconditionFailed') throw error;
          throw new PoolhouseError(
            'Conflict',
            `There is a user '${name}' already. 'poolhouse users set ${name}' changes it.`,
          );
        });
      printAnswer(options, body, () => `Added.\n${describeUser(documentOf(body))}`);
    });
}

function listCommand(shared: Shared): Command {
  return new Command('list')
    .description('show all people')
    .option('--json', 'print them as one JSON document')
    .addHelpText('after', '\nExamples:\n  poolhouse users list\n  poolhouse users list --json | jq -r .[].name')
    .action(async (options: { json?: true }) => {
      const { body } = await (await openArm(shared)).send('GET', base);
      const users = (body as unknown as { value: UserDocument[] }).value; // our own API's shape
      printAnswer(options, users, () => describeUsers(users, tableWidth(process.stdout)));
    });
}

function showCommand(shared: Shared): Command {
  return new Command('show')
    .description('show one person')
    .argument('<name>')
    .option('--json', 'print the user as one JSON document')
    .addHelpText(
      'after',
      '\nExamples:\n  poolhouse users show alice\n  poolhouse users show alice --json | jq .properties.uid',
    )
    .action(async (name: string, options: { json?: true }) => {
      const { body } = await (await openArm(shared)).send('GET', pathOf(name));
      const workspaces = await readUsage(shared, { user: name });
      printAnswer(options, { ...body, workspaces }, () => describeUser(documentOf(body), workspaces));
    });
}

function setCommand(shared: Shared): Command {
  const command = new Command('set')
    .description('change a person; what is not named stays')
    .argument('<name>')
    .option('--password-stdin', 'read a new password from standard input; at a terminal it is asked for')
    .option('--no-password', 'no password signs them in any more')
    .option('--ssh-key <file-or-url>', 'public keys that come to theirs (repeatable)', each)
    .option('--remove-ssh-key <fingerprint>', `a key that goes, by its SHA256:… of 'users show' (repeatable)`, each)
    .option('--group <group>', 'a group that they come into (repeatable)', each)
    .option('--remove-group <group>', 'a group that they leave (repeatable)', each)
    .option('--sudo', `they ${sudoWarning}`)
    .option('--no-sudo', 'they may not any more')
    .option('--disable', 'they can no longer sign in; what they run is ended, their files stay')
    .option('--enable', 'they can again');
  return withPoolOptions(withQuotaOption(command, 'their workspace', true), 'user', true)
    .option('--json', 'print the user as one JSON document')
    .addHelpText(
      'after',
      `\nA --pool comes to those they have; of somebody with every pool, only those that are named are left.\n\nExamples:\n  poolhouse users set alice --ssh-key new.pub --remove-ssh-key SHA256:UT4eDNWy1ZnoKVpY1m6pv6pOakxT6fJDdxtiJ9lEgWA\n  poolhouse users set bob --disable\n  poolhouse users set carol --quota 20GiB\n  poolhouse users set carol --pool sharedpool --no-sudo`,
    )
    .action(async (name: string, options: SetOptions) => {
      if (options.enable === true && options.disable === true)
        throw new UsageError('--enable and --disable exclude each other.');
      if (options.passwordStdin === true && !options.password)
        throw new UsageError('--password-stdin and --no-password exclude each other.');
      const quota = quotaAfter(options.quota, true);
      const newKeys = await readKeys(options.sshKey ?? []);
      const arm = await openArm(shared);
      const before = documentOf((await arm.send('GET', pathOf(name))).body);
      const { sshKeys, sshKeyFingerprints, groups, pools } = before.properties;
      const left = listAfter(sshKeyFingerprints, [], options.removeSshKey, 'key') ?? sshKeyFingerprints;
      const keptKeys = sshKeys.filter((_, index) => left.includes(sshKeyFingerprints[index] ?? ''));
      const keysChange = newKeys.length > 0 || keptKeys.length < sshKeys.length;
      const groupsAfter = listAfter(groups, options.group, options.removeGroup, 'group');
      const newPools = poolsAfter(options, pools);
      const properties: JsonObject = {
        ...(options.password ? {} : { password: null }),
        ...(keysChange ? { sshKeys: [...keptKeys, ...newKeys] } : {}),
        ...(groupsAfter === undefined ? {} : { groups: groupsAfter }),
        ...(newPools === undefined ? {} : { pools: newPools }),
        ...(options.sudo === undefined ? {} : { sudo: options.sudo }),
        ...(quota === undefined ? {} : { quota }),
        ...(options.disable === true ? { disabled: true } : options.enable === true ? { disabled: false } : {}),
      };
      if (options.passwordStdin === true) properties['password'] = await askPassword(name);
      if (Object.keys(properties).length === 0)
        throw new UsageError(`Nothing to change was named. 'poolhouse users set --help' shows what can be.`);
      // Only as it was read: lists are written as wholes.
      const { body } = await arm.send('PATCH', pathOf(name), { properties }, { 'if-match': before.etag });
      printAnswer(options, body, () => `Changed.\n${describeUser(documentOf(body))}`);
    });
}

function removeCommand(shared: Shared): Command {
  return new Command('remove')
    .description('remove a person; what they run is ended, their files stay')
    .argument('<name>')
    .option('--json', 'print one JSON document')
    .addHelpText(
      'after',
      `\nTheir uid is never given again, also not to somebody of the same name. 'users set NAME --disable' keeps the person.\n\nExamples:\n  poolhouse users remove alice`,
    )
    .action(async (name: string, options: { json?: true }) => {
      const { status } = await (await openArm(shared)).send('DELETE', pathOf(name));
      if (status === 204)
        throw new PoolhouseError(
          'ResourceNotFound',
          `There is no user '${name}'. 'poolhouse users list' shows those there are.`,
        );
      printAnswer(options, { removed: name }, () => `The user ${name} was removed. Their files stay.\n`);
    });
}

/** For people: a table that fits their terminal. Pure. */
function describeUsers(users: readonly UserDocument[], width: number): string {
  if (users.length === 0) return 'There are no users yet. A first one: poolhouse users add NAME --ssh-key FILE\n';
  const rows = users.map(({ name, properties: user }) => [
    name,
    String(user.uid),
    user.disabled ? 'disabled' : user.sudo ? 'sudo' : '',
    signsInWith(user),
    user.groups.join(', '),
    user.quota === null ? '' : shortQuota(user.quota),
    poolsInWords(user.pools),
  ]);
  return `${table(['name', 'uid', 'state', 'signs in with', 'groups', 'quota', 'pools'], rows, width).join('\n')}\n`;
}

/** For people: all of one user. Pure. */
function describeUser({ name, properties: user }: UserDocument, workspaces: Usage = []): string {
  const lines = [
    `${name}${user.disabled ? ' (disabled)' : ''}`,
    `  uid       ${user.uid}`,
    `  groups    ${user.groups.length === 0 ? '(none)' : user.groups.join(', ')}`,
    `  pools     ${poolsInWords(user.pools)}${user.pools[0] === '*' || user.groups.length === 0 ? '' : ', and what the groups may enter'}`,
    `  sudo      ${user.sudo ? 'yes: root on every instance that they enter' : 'no'}`,
    `  quota     ${quotaInWords(user.quota, 'what the storage account of a share says')}`,
    ...usageInWords(workspaces, '  files     '),
    `  password  ${user.hasPassword ? 'yes' : 'none'}`,
    ...user.sshKeys.map((line, index) => {
      const { type, comment } = parseSshKey(line);
      const key = plainLine(`${user.sshKeyFingerprints[index] ?? ''} ${type} ${comment}`).trimEnd();
      return `${index === 0 ? '  keys      ' : '            '}${key}`;
    }),
    ...(user.hasPassword || user.sshKeys.length > 0
      ? []
      : ['', `  ${name} cannot sign in yet: poolhouse users set ${name} --ssh-key FILE, or --password-stdin`]),
  ];
  return `${lines.join('\n')}\n`;
}

function signsInWith({ hasPassword, sshKeys }: UserDocument['properties']): string {
  const keys = sshKeys.length === 0 ? [] : [sshKeys.length === 1 ? '1 key' : `${sshKeys.length} keys`];
  return [...keys, ...(hasPassword ? ['password'] : [])].join(', ') || 'nothing yet';
}
