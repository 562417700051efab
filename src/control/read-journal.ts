/** The journal of an instance, as `poolhouse logs INSTANCE` shows it. */
import type { LogLevel } from '../core/log-levels.ts';
import { PoolhouseError } from '../core/errors.ts';
import { findNamedInstance } from '../store/instance-records.ts';
import { isService } from './service-instances.ts';
import type { World } from './world.ts';

const priorities = { trace: 'debug', debug: 'debug', info: 'info', warn: 'warning', error: 'err' } as const;

/**
 * The newest lines of this level and graver, of an instance of a pool by its hostname or its name in the engine, or of one of our own.
 * `InstanceNotFound` where there is none.
 */
export async function readJournal(
  { store, engine }: Pick<World, 'store' | 'engine'>,
  name: string,
  lines: number,
  level: LogLevel,
  signal: AbortSignal,
): Promise<string> {
  const known = await findNamedInstance(store.db, name);
  // Of our own instances nothing is written down.
  const instance = known ?? (await engine.list(signal)).find((one) => one.name === name && isService(one));
  if (instance === undefined)
    throw new PoolhouseError('InstanceNotFound', `There is no instance '${name}'. 'poolhouse status' lists them.`);
  const result = await engine.exec(
    instance.name,
    ['journalctl', '--no-pager', '-q', '-n', String(lines), '-p', priorities[level]],
    { keepBytes: 2 ** 20 },
    signal,
  );
  return result.stdout;
}
