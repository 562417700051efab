/** Runs a command on one certain instance, by the engine: the front door leads a person to their own. */
import { createIncusEngine } from '../../src/engines/incus/incus-engine.ts';
import type { Result, TestInstallation } from './installation.ts';
import { engineSocket } from './machine-picture.ts';

/** As a user of the instance, in a login shell. */
export async function insideInstance(
  installation: TestInstallation,
  hostname: string,
  user: string,
  command: string,
): Promise<Pick<Result, 'exitCode' | 'stdout' | 'stderr'>> {
  const engine = createIncusEngine({
    installation: (await installation.id()) ?? '',
    socketPath: engineSocket(),
    addressRange: '10.231.0.0/16',
    poolBytes: 0, // nothing is made
  });
  const signal = AbortSignal.timeout(60_000);
  const found = (await engine.list(signal)).find((instance) => instance.hostname === hostname);
  if (found === undefined) throw new Error(`There is no instance '${hostname}'.`);
  return engine.exec(found.name, ['su', '-', user, '-c', command], { timeoutMs: 30_000 }, signal);
}
