/** Runs a command on one certain instance, by the engine: the front door leads a person to their own. */
import { createIncusEngine } from '../../src/engines/incus/incus-engine.ts';
import type { Result, TestInstallation } from './installation.ts';
import { engineSocket } from './machine-picture.ts';

/**
 * The daemon (LXD 5.0.2) now and then loses what a program wrote right before its end, on a busy machine: 10 times of 1,800, and never
 * where the program stayed for 50 ms. What control asks for can be asked for again; what a test says cannot.
 */
export const lingering = (script: string, ...values: readonly string[]) => [
  'sh',
  '-c',
  `(${script}\n); code=$?; sleep 0.05; exit $code`,
  'sh',
  ...values,
];

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
  return engine.exec(found.name, lingering('su - "$1" -c "$2"', user, command), { timeoutMs: 30_000 }, signal);
}
