/**
 * Rescue: before an instance that has drained is removed, what people changed in their homes there, outside the share, goes to
 * their workspaces, into `rescued/HOSTNAME-DATE`. A program inside the instance does it, as each of them (images/recipes/base/
 * files/rescue). As long as it fails for anybody the instance has to stay: nobody loses work.
 */
import { z } from 'zod';
import { PoolhouseError } from '../core/errors.ts';
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

/** What was taken of one person's home. */
export type Rescued = z.infer<typeof answerSchema>['rescued'][number];

/** For all people of an instance together; those who were done by then are not done again. */
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
  const rescue = () =>
    engine.exec(
      instance.name,
      ['/usr/lib/poolhouse/rescue'],
      { stdin: JSON.stringify(document), timeoutMs: rescueLimit, keepBytes: longestAnswer },
      signal,
    );
  const names = document.users.map(({ name }) => name);
  const result = await (share === undefined
    ? world.folders.withWorkspaces(instance.name, names, rescue, signal)
    : rescue());
  if (noProgram.includes(result.exitCode) && !(await hasProgram(world, instance, signal))) {
    log.warn(about, `the instance's image knows no rescue: what lies on it goes with it`);
    return [];
  }
  const answer = answerSchema.safeParse(result.exitCode === 0 ? asJson(result.stdout) : undefined);
  if (!answer.success)
    throw staying(instance, `the program in it failed (exit code ${result.exitCode})`, new Error(result.stderr));
  // Of people that nobody asked about it has nothing to say.
  const isAsked = ({ name }: { name: string }) => document.users.some((user) => user.name === name);
  const [rescued, failed] = [answer.data.rescued.filter(isAsked), answer.data.failed.filter(isAsked)];
  for (const one of rescued) log.info({ ...about, audit: 'rescued', ...one }, 'files of somebody were rescued');
  if (failed.length === 0) {
    if (rescued.length > 0) await note(world, instance, rescued);
    return rescued;
  }
  throw staying(instance, failed.map(({ name, reason }) => `${name}: ${reason}`).join('; '));
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
