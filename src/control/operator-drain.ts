/**
 * An operator's own drain: the instance takes no new users until they say otherwise, and stays. Nothing that scales by itself
 * overwrites it.
 */
import { z } from 'zod';
import { PoolhouseError } from '../core/errors.ts';
import { beginDraining, drainCause } from '../pool/instance-state.ts';
import { updateInstanceState } from '../store/instance-records.ts';
import { parseRequest, requireNamedInstance } from './operator-request.ts';
import type { World } from './world.ts';

const requestSchema = z.strictObject({ instance: z.string().max(200), off: z.boolean().default(false) });

export interface DrainAnswer {
  instance: string;
  draining: boolean;
}

/** Carries out a request as it came. `ResourceNotFound` where there is no such instance, `Conflict` where it goes anyway. */
export function createOperatorDrain({
  store,
  clock,
  log,
  changed,
}: Pick<World, 'store' | 'clock' | 'log' | 'changed'>): (request: unknown) => Promise<DrainAnswer> {
  return async (request) => {
    const { instance: name, off } = parseRequest(requestSchema, request);
    const hostname = await store.transaction(async (tx) => {
      const instance = await requireNamedInstance(tx, name);
      const { state } = instance;
      if (state.removal !== undefined || drainCause(state) === 'delete')
        throw new PoolhouseError('Conflict', `The instance '${name}' is being removed already.`);
      if (state.standby !== undefined)
        throw new PoolhouseError('Conflict', `The instance '${name}' is a standby: nobody is sent to it.`);
      await updateInstanceState(tx, instance, (before) => {
        const { draining, ...rest } = before;
        if (!off) return beginDraining(before, { since: draining?.since ?? clock.now(), by: 'operator' });
        // What drains for another reason is not the operator's to end here.
        return draining?.by === 'operator' ? rest : before;
      });
      return instance.hostname;
    });
    log.info(
      { audit: off ? 'drain ends' : 'drain begins', instance: hostname },
      'an operator drains an instance, or ends that',
    );
    changed();
    return { instance: hostname, draining: !off };
  };
}
