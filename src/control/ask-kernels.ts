/** Asks inside an instance who has a kernel that is busy. */
import { PoolhouseError } from '../core/errors.ts';
import { findInstances } from '../store/instance-records.ts';
import { instanceUsers } from './instance-users.ts';
import type { KernelWatchParts } from './kernel-watch.ts';
import type { World } from './world.ts';

const askLimit = 20_000;
/** Of a shell where there is no such program: an image without notebooks, or one of before. */
const noProgram = [126, 127];

export function createAskKernels(world: World): KernelWatchParts['ask'] {
  const { store, engine, live } = world;
  return async (name, users) => {
    const instance = (await findInstances(store.db)).find((one) => one.name === name);
    if (!engine.capabilities().real || instance === undefined || live.instance(name)?.power !== 'running')
      return undefined;
    const asked = (await instanceUsers(world, instance)).filter((one) => users.includes(one.name));
    const { exitCode, stdout, stderr } = await engine.exec(
      name,
      ['/usr/lib/poolhouse/busy-kernels'],
      { stdin: JSON.stringify({ users: asked }), timeoutMs: askLimit },
      AbortSignal.timeout(askLimit),
    );
    if (noProgram.includes(exitCode)) return undefined;
    if (exitCode !== 0)
      throw new PoolhouseError('Unavailable', `Nobody could say which kernels of ${instance.hostname} are busy.`, {
        retryable: true,
        cause: new Error(stderr),
      });
    return stdout;
  };
}
