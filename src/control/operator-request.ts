/** What is common to requests that an operator makes: their form, and the instance that they name. */
import { z } from 'zod';
import { PoolhouseError } from '../core/errors.ts';
import { findNamedInstance, type InstanceRecord } from '../store/instance-records.ts';
import type { Queries } from '../store/store.ts';

/** `InvalidParameter` says what is wrong with it. */
export function parseRequest<Schema extends z.ZodType>(schema: Schema, request: unknown): z.output<Schema> {
  const asked = schema.safeParse(request);
  if (!asked.success) throw new PoolhouseError('InvalidParameter', z.prettifyError(asked.error));
  return asked.data;
}

/** `ResourceNotFound` where there is none of this hostname, or name in the engine. */
export async function requireNamedInstance(queries: Queries, name: string): Promise<InstanceRecord> {
  const instance = await findNamedInstance(queries, name);
  if (instance === undefined)
    throw new PoolhouseError('ResourceNotFound', `There is no instance '${name}'. 'poolhouse status' lists them.`);
  return instance;
}
