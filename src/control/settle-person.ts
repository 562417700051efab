/**
 * Before somebody is told their place, what they have on shares is shown there: they find their files with the first prompt. Where
 * the instance shows whole shares, and homes are its own, there is nothing to wait for.
 *
 * It waits for a few seconds at most. Who cannot be shown theirs comes in all the same and is told so in words: where it would be
 * shown is then a folder of root's that they cannot write to, so nothing of theirs gets lost in it.
 */
import type { PlacementAnswer, PlacementQuestion } from '../link/people.ts';
import { readPoolTags } from '../providers/compute/pool-tags.ts';
import { findInstances } from '../store/instance-records.ts';
import { findResource } from '../store/resource-records.ts';
import { isPlain } from './folder-snapshot.ts';
import type { InstanceFolders } from './instance-folders.ts';
import type { World } from './world.ts';

const usualLimit = 10_000;

export type Place = (question: PlacementQuestion, signal: AbortSignal) => Promise<PlacementAnswer>;

export function createSettlePerson(
  world: Pick<World, 'store' | 'live' | 'log'>,
  folders: Pick<InstanceFolders, 'settle'>,
  place: Place,
  limitMs = usualLimit,
): Place {
  const { store, live, log } = world;

  async function isAsItIs(pool: string, name: string): Promise<boolean> {
    const set = await findResource(store.db, pool);
    const instance = (await findInstances(store.db, pool)).find((one) => one.name === name);
    if (set === undefined || instance === undefined) return true;
    const attached = live.engineInstances().find((one) => one.name === name)?.attachments ?? [];
    return isPlain(instance, readPoolTags(set.document), attached);
  }

  /** Undefined: they have what is theirs. */
  async function problemOf(
    { user }: PlacementQuestion,
    instance: string,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    const limit = AbortSignal.timeout(limitMs);
    try {
      // What is cut off is taken up again by the loop that looks at all instances.
      const failures = await folders.settle(instance, AbortSignal.any([limit, signal]));
      return failures.get(user)?.message;
    } catch (error) {
      signal.throwIfAborted();
      return limit.aborted
        ? `it took longer than ${String(limitMs / 1_000)} s`
        : error instanceof Error
          ? error.message
          : String(error);
    }
  }

  return async (question, signal) => {
    const answer = await place(question, signal);
    if (answer.outcome !== 'placed' || (await isAsItIs(question.pool, answer.instance))) return answer;
    const problem = await problemOf(question, answer.instance, signal);
    if (problem === undefined) return answer;
    const { user } = question;
    log.error({ user, instance: answer.instance, problem }, 'somebody comes to an instance without their workspace');
    return {
      ...answer,
      notice:
        'Your workspace cannot be shown on this machine yet. It is tried again every few seconds; what you keep there is safe.',
    };
  };
}
