import { Command } from 'commander';
import { PoolhouseError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import type { GroupDocument } from '../providers/identity/documents.ts';
import { openArm } from './open-arm.ts';
import {
  each,
  listAfter,
  poolsAfter,
  quotaAfter,
  segmentOf,
  withPoolOptions,
  withQuotaOption,
  type PoolOptions,
} from './people-options.ts';
import { poolsInWords, printAnswer, quotaInWords, shortQuota } from './people-words.ts';
import type { Shared } from './shared.ts';
import { table, tableWidth } from './table.ts';
import { UsageError } from './usage-error.ts';
import { readUsage, usageInWords, type Usage } from './workspace-usage.ts';

const base = '/providers/Poolhouse.Identity/groups';
const pathOf = (name: string) => `${base}/${segmentOf('group', name)}`;
/** In our own API's shape. */
const documentOf = (body: JsonObject) => body as unknown as GroupDocument;

interface Options extends PoolOptions {
  user?: string[];
  removeUser?: string[];
  quota?: string;
  json?: true;
}

export function groupsCommand(shared: Shared): Command {
  const command = new Command('groups')
    .description('groups of people, and which pools their members may enter')
    .addHelpText(
      'after',
      '\nExamples:\n  poolhouse groups add team --user alice --user bob --pool sharedpool\n  poolhouse groups set team --remove-user bob\n  poolhouse groups list --json\n\nEach command explains itself: poolhouse groups add --help',
    );
  for (const make of [addCommand, listCommand, showCommand, setCommand, removeCommand])
    command.addCommand(make(shared));
  return command;
}

function addCommand(shared: Shared): Command {
  const command = new Command('add')
    .description('add a group')
    .argument('<name>', `1 to 32 of a-z, 0-9, '_' and '-', beginning with a letter or '_'`)
    .option('--user <user>', 'a member (repeatable)', each);
  return withPoolOptions(withQuotaOption(command, 'its folder', false), 'group', false)
    .option('--json', 'print the group as one JSON document')
    .addHelpText(
      'after',
      '\nExamples:\n  poolhouse groups add team\n  poolhouse groups add team --user alice --pool sharedpool',
    )
    .action(async (name: string, options: Options) => {
      const pools = poolsAfter(options, []) ?? [];
      const quota = quotaAfter(options.quota, false);
      const arm = await openArm(shared);
      const properties = { members: options.user ?? [], pools, ...(quota === undefined ? {} : { quota }) };
      const { body } = await arm
        .send('PUT', pathOf(name), { properties }, { 'if-none-match': '*' })
        .catch((error: unknown) => {
          if (!(error instanceof PoolhouseError) || error.code !== 'PreconditionFailed') throw error;
          throw new PoolhouseError(
            'Conflict',
            `There is a group '${name}' already. 'poolhouse groups set ${name}' changes it.`,
          );
        });
      printAnswer(options, body, () => `Added.\n${describeGroup(documentOf(body))}`);
    });
}

function listCommand(shared: Shared): Command {
  return new Command('list')
    .description('show all groups')
    .option('--json', 'print them as one JSON document')
    .addHelpText('after', '\nExamples:\n  poolhouse groups list')
    .action(async (options: { json?: true }) => {
      const { body } = await (await openArm(shared)).send('GET', base);
      const groups = (body as unknown as { value: GroupDocument[] }).value; // our own API's shape
      printAnswer(options, groups, () => describeGroups(groups, tableWidth(process.stdout)));
    });
}

function showCommand(shared: Shared): Command {
  return new Command('show')
    .description('show one group')
    .argument('<name>')
    .option('--json', 'print the group as one JSON document')
    .addHelpText('after', '\nExamples:\n  poolhouse groups show team')
    .action(async (name: string, options: { json?: true }) => {
      const { body } = await (await openArm(shared)).send('GET', pathOf(name));
      const workspaces = await readUsage(shared, { group: name });
      printAnswer(options, { ...body, workspaces }, () => describeGroup(documentOf(body), workspaces));
    });
}

function setCommand(shared: Shared): Command {
  const command = new Command('set')
    .description('change a group; what is not named stays')
    .argument('<name>')
    .option('--user <user>', 'somebody who comes into it (repeatable)', each)
    .option('--remove-user <user>', 'somebody who leaves it (repeatable)', each);
  return withPoolOptions(withQuotaOption(command, 'its folder', false), 'group', true)
    .option('--json', 'print the group as one JSON document')
    .addHelpText(
      'after',
      '\nExamples:\n  poolhouse groups set team --user carol --remove-user bob\n  poolhouse groups set team --pool otherpool',
    )
    .action(async (name: string, options: Options) => {
      const quota = quotaAfter(options.quota, false);
      const arm = await openArm(shared);
      const before = documentOf((await arm.send('GET', pathOf(name))).body);
      const members = listAfter(before.properties.members, options.user, options.removeUser, 'member');
      const pools = poolsAfter(options, before.properties.pools);
      if (members === undefined && pools === undefined && quota === undefined)
        throw new UsageError(`Nothing to change was named. 'poolhouse groups set --help' shows what can be.`);
      const properties = {
        ...(members === undefined ? {} : { members }),
        ...(pools === undefined ? {} : { pools }),
        ...(quota === undefined ? {} : { quota }),
      };
      // Only as it was read: lists are written as wholes.
      const { body } = await arm.send('PATCH', pathOf(name), { properties }, { 'if-match': before.etag });
      printAnswer(options, body, () => `Changed.\n${describeGroup(documentOf(body))}`);
    });
}

function removeCommand(shared: Shared): Command {
  return new Command('remove')
    .description('remove a group; its members stay, without what it gave them')
    .argument('<name>')
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExamples:\n  poolhouse groups remove team')
    .action(async (name: string, options: { json?: true }) => {
      const { status } = await (await openArm(shared)).send('DELETE', pathOf(name));
      if (status === 204)
        throw new PoolhouseError(
          'ResourceNotFound',
          `There is no group '${name}'. 'poolhouse groups list' shows those there are.`,
        );
      printAnswer(options, { removed: name }, () => `The group ${name} was removed. Its members stay.\n`);
    });
}

/** For people: a table that fits their terminal. Pure. */
function describeGroups(groups: readonly GroupDocument[], width: number): string {
  if (groups.length === 0) return 'There are no groups yet. A first one: poolhouse groups add NAME --user USER\n';
  const rows = groups.map(({ name, properties: { gid, members, pools, quota } }) => [
    name,
    String(gid),
    members.join(', '),
    quota === null ? '' : shortQuota(quota),
    poolsInWords(pools),
  ]);
  return `${table(['name', 'gid', 'members', 'quota', 'opens'], rows, width).join('\n')}\n`;
}

function describeGroup(
  { name, properties: { gid, members, pools, quota } }: GroupDocument,
  workspaces: Usage = [],
): string {
  const lines = [
    name,
    `  gid      ${gid}`,
    `  members  ${members.length === 0 ? '(none)' : members.join(', ')}`,
    `  opens    ${poolsInWords(pools)}`,
    `  quota    ${quotaInWords(quota, 'none')}`,
    ...usageInWords(workspaces, '  files    '),
  ];
  return `${lines.join('\n')}\n`;
}
