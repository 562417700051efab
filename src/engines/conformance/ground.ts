/** What the tests of the suite stand on: an engine to try, and instances of a tiny system in it. */
import { expect, it } from 'vitest';
import type { Engine, EngineInstance, ExecResult, InstanceSpec } from '../engine.ts';

export interface EngineTrial {
  engine: Engine;
  /** Another object for the same installation, as after a restart of control. It is prepared by the suite. */
  reopen(): Engine;
  /** What an image file of a tiny system is called, and where it is. */
  image: { fingerprint: string; file: string };
  /** Fails where anything of the installation is left in the daemon. Called after `destroy`. */
  expectNothingLeft(): Promise<void>;
  /** Ends what the trial itself has made. */
  close(): Promise<void>;
}

export interface EngineUnderTest {
  /** Instances have processes: programs are run in them. */
  real: boolean;
  /** Why the suite cannot run here. */
  skip?: string | undefined;
  open(): Promise<EngineTrial>;
}

export const mebibyte = 2 ** 20;

export interface Ground {
  /** From the first test on. */
  readonly trial: EngineTrial;
  readonly engine: Engine;
  readonly signal: AbortSignal;
  /** A test of what only engines with processes have. */
  readonly real: typeof it;
  /** A new instance's, with a name and an address that no other test uses. */
  specOf: (changes?: Partial<InstanceSpec>) => InstanceSpec;
  /** Such an instance, made and running. */
  started: (changes?: Partial<InstanceSpec>) => Promise<InstanceSpec>;
  find: (instance: string) => Promise<EngineInstance | undefined>;
  run: (instance: string, ...argv: string[]) => Promise<ExecResult>;
  shell: (instance: string, script: string) => Promise<ExecResult>;
  /** A `PoolhouseError` of this code, to compare with. */
  fails: (code: string) => unknown;
}

/** @param trial asked for only while tests run */
export function createGround(trial: () => EngineTrial, isReal: boolean): Ground {
  const { signal } = new AbortController();
  let count = 0;

  function specOf(changes: Partial<InstanceSpec> = {}): InstanceSpec {
    count += 1;
    const [a, b, c] = trial().engine.network().gateway.split('.');
    return {
      name: `trial-${count}`,
      hostname: `host${count}`,
      image: { fingerprint: trial().image.fingerprint },
      cpus: 1,
      memoryBytes: 128 * mebibyte,
      address: `${a}.${b}.${c}.${100 + (count % 100)}`,
      labels: {},
      ...changes,
    };
  }
  const run = (instance: string, ...argv: string[]): Promise<ExecResult> =>
    trial().engine.exec(instance, argv, { timeoutMs: 20_000 }, signal);

  return {
    get trial() {
      return trial();
    },
    get engine() {
      return trial().engine;
    },
    signal,
    real: it.runIf(isReal) as typeof it,
    specOf,
    async started(changes) {
      const spec = specOf(changes);
      await trial().engine.create(spec, signal);
      await trial().engine.setPower(spec.name, 'running', signal);
      return spec;
    },
    find: async (instance) => (await trial().engine.list(signal)).find((one) => one.name === instance),
    run,
    shell: (instance, script) => run(instance, 'sh', '-c', script),
    fails: (code): unknown => expect.objectContaining({ name: 'PoolhouseError', code }),
  };
}
