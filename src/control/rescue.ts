/**
 * Rescue: before an instance that has drained is removed, what people changed in their homes there, outside the share, goes to
 * their workspaces, into `rescued/HOSTNAME-DATE`. A program inside the instance does it, as each of them (images/recipes/base/
 * files/rescue). As long as it fails for anybody the instance has to stay: nobody loses work.
 */
import { z } from 'zod';
import { errorBodyOf, PoolhouseError } from '../core/errors.ts';
import { readPoolTags } from '../providers/compute/pool-tags.ts';
import { noteActivity } from '../store/activity-log.ts';
import type { InstanceRecord } from '../store/instance-records.ts';
import { findResource } from '../store/resource-records.ts';
import { instanceUsers } from './instance-users.ts';
import type { World } from './world.ts';

const longestReason = 200;
const answerSchema = z.object({
  rescued: z.array(
    z.object({
      name: z.string(),
      /** In the person's workspace. */
      folder: z.string().regex(/^rescued\/[A-Za-z0-9._-]{1,120}$/),
      files: z.int(),
      bytes: z.int(),
      /** How many files did not fit, or could not be read: they are listed in a file of the folder. */
      left: z.int(),
    }),
  ),
  failed: z.array(
    z.object({
      name: z.string(),
      // Whoever is root there may say what they like.
      reason: z.string().transform((text) => text.replace(/\p{C}/gu, ' ').slice(0, longestReason)),
    }),
  ),
});

type Answer = z.infer<typeof answerSchema>;
/** What was taken of one person's home. */
export type Rescued = Answer['rescued'][number];

/** For all who are asked about at once; those who were done by then are not done again. */
const rescueLimit = 15 * 60_000;
const longestAnswer = 4 * 2 ** 20;
/** Of a shell where there is no such program: an image of before, or one of the operator's own. */
const noProgram = [126, 127];

/**
 * Rescues what people have on an instance that drains; starts it for that where it does not run. To be called before
 * anything of it is taken away, and again after a failure: what was rescued while it drains is not rescued twice.
 *
 * @returns of whom what was rescued; nobody where the instance shows no share, or its image cannot do it (the log says so)
 * @throws `Unavailable`, to be tried again, where it failed for anybody: the instance must stay. It names them and says why;
 * whoever removes the instance writes it down.
 */
export async function rescueFiles(world: World, instance: InstanceRecord, signal: AbortSignal): Promise<Rescued[]> {
  const { engine, live, log } = world;
  const about = { instance: instance.name, hostname: instance.hostname };
  const found = live.engineInstances().find(({ name }) => name === instance.name);
  if (!engine.capabilities().real || found === undefined || instance.state.provisioned === undefined) return [];
  const share = found.attachments.find(({ folder }) => folder === '');
  const byFolders = instance.state.mounts?.find(({ shown }) => shown === 'workspaces');
  const mountPoint = share?.path ?? byFolders?.target;
  if (mountPoint === undefined) {
    log.info(about, 'an instance shows no share: what lies on it goes with it');
    return [];
  }
  if (found.power !== 'running') await engine.setPower(instance.name, 'running', signal);
  const document = await documentFor(world, instance, mountPoint, share === undefined);
  const ask = (users: typeof document.users) => askProgram(world, instance, { ...document, users }, signal);
  const first = await ask(document.users);
  if (first === undefined) {
    log.warn(about, `the instance's image knows no rescue: what lies on it goes with it`);
    return [];
  }
  const answer =
    share === undefined ? await rescueOneByOne(world, instance, document.users, first, ask, signal) : first;
  // Of people that nobody asked about it has nothing to say.
  const isAsked = ({ name }: { name: string }) => document.users.some((user) => user.name === name);
  const [rescued, failed] = [answer.rescued.filter(isAsked), answer.failed.filter(isAsked)];
  for (const one of rescued) log.info({ ...about, audit: 'rescued', ...one }, 'files of somebody were rescued');
  if (failed.length === 0) {
    if (rescued.length > 0) await note(world, instance, rescued);
    return rescued;
  }
  throw staying(instance, failed.map(({ name, reason }) => `${name}: ${reason}`).join('; '));
}

/** Undefined where the instance has no such program. */
async function askProgram(
  world: World,
  instance: InstanceRecord,
  document: object,
  signal: AbortSignal,
): Promise<Answer | undefined> {
  const { exitCode, stdout, stderr } = await world.engine.exec(
    instance.name,
    ['/usr/lib/poolhouse/rescue'],
    { stdin: JSON.stringify(document), timeoutMs: rescueLimit, keepBytes: longestAnswer },
    signal,
  );
  if (noProgram.includes(exitCode) && !(await hasProgram(world, instance, signal))) return undefined;
  const answer = answerSchema.safeParse(exitCode === 0 ? asJson(stdout) : undefined);
  if (answer.success) return answer.data;
  throw staying(instance, `the program in it failed (exit code ${exitCode})`, new Error(stderr));
}

/**
 * Whoever is root there sees what is shown: never more than one workspace of those who are gone, and of nobody who has nothing to
 * rescue. Who had something when all were asked without their workspaces is among those that it failed for.
 */
async function rescueOneByOne<User extends { name: string }>(
  world: World,
  instance: InstanceRecord,
  users: readonly User[],
  first: Answer,
  ask: (users: User[]) => Promise<Answer | undefined>,
  signal: AbortSignal,
): Promise<Answer> {
  const all: Answer = { rescued: [...first.rescued], failed: [] };
  for (const user of users) {
    const { name } = user;
    if (!first.failed.some((one) => one.name === name)) continue;
    try {
      const answer = await world.folders.withWorkspace(instance.name, name, () => ask([user]), signal);
      all.rescued.push(...(answer?.rescued ?? []).filter((one) => one.name === name));
      all.failed.push(
        ...(answer?.failed ?? [{ name, reason: 'the program is gone' }]).filter((one) => one.name === name),
      );
    } catch (error) {
      signal.throwIfAborted();
      const { code, message } = errorBodyOf(error);
      if (code === 'EngineUnavailable') throw error;
      world.log.warn({ err: error, instance: instance.name, user: name }, 'nothing could be rescued for somebody');
      all.failed.push({ name, reason: message });
    }
  }
  return all;
}

/** The program is there and cannot be run, or is not there: only then nothing can be rescued. */
async function hasProgram({ engine }: World, { name }: InstanceRecord, signal: AbortSignal): Promise<boolean> {
  const { exitCode } = await engine.exec(name, ['test', '-e', '/usr/lib/poolhouse/rescue'], {}, signal);
  return exitCode === 0;
}

/** Where what somebody has on an instance goes to in their workspace, and how much of it at most. */
export async function rescueTerms({ store, clock }: Pick<World, 'store' | 'clock'>, instance: InstanceRecord) {
  const set = await findResource(store.db, instance.scaleSetKey);
  const day = new Date(clock.now()).toISOString().slice(0, 10);
  return {
    folder: `${instance.hostname}-${day}`,
    limitBytes: readPoolTags(set?.document ?? {}).rescueBytes,
  };
}

/** @param byFolders workspaces are shown one by one: of nobody who was never there, for root there would see theirs */
async function documentFor(world: World, instance: InstanceRecord, mountPoint: string, byFolders: boolean) {
  const visitors = instance.state.visitors ?? [];
  const users = await instanceUsers(world, instance);
  return {
    mountPoint,
    ...(await rescueTerms(world, instance)),
    draining: String(instance.state.draining?.since ?? ''),
    users: byFolders ? users.filter(({ name, person }) => !person || visitors.includes(name)) : users,
  };
}

function staying({ hostname, instanceId }: InstanceRecord, why: string, cause?: Error): PoolhouseError {
  return new PoolhouseError(
    'Unavailable',
    `What people have on ${hostname} could not be taken to their workspaces, so it stays: ${why}. It is tried again; make room on the share, or delete the instance ${instanceId} by its id to give it up.`,
    { retryable: true, ...(cause === undefined ? {} : { cause }) },
  );
}

/** One sentence, for the activity log. */
function describeRescue(rescued: readonly Rescued[]): string {
  const each = rescued.map(({ name, folder, files, left }) => {
    const all = left === 0 ? '' : `, and ${left} that did not fit or could not be read are listed there`;
    return `of ${name} ${files} file${files === 1 ? '' : 's'} to ${folder}${all}`;
  });
  return `What people had on the machine was rescued: ${each.join('; ')}.`;
}

async function note(world: World, instance: InstanceRecord, rescued: readonly Rescued[]): Promise<void> {
  const { store, clock } = world;
  const set = await findResource(store.db, instance.scaleSetKey);
  await noteActivity(store.db, {
    ...{
      id: world.newId(),
      at: clock.now(),
      resourceId: set?.id ?? instance.scaleSetKey,
      instanceId: instance.instanceId,
    },
    operation: 'Microsoft.Compute/virtualMachineScaleSets/virtualMachines/rescue/action',
    ...{ status: 'Succeeded', level: 'Informational', caller: 'poolhouse', message: describeRescue(rescued) },
    properties: { instance: instance.name, hostname: instance.hostname, rescued: rescued.map((one) => ({ ...one })) },
  });
}

function asJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // refused as what it is: no answer
  }
}
