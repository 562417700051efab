/**
 * The supervisor's process: `supervisor-main.ts PROGRAMS-FILE`, which lies in the runtime folder. There is one at a time:
 * a second one ends at once. It notes its own pid, for nobody else knows whether it is the one.
 * As root it looks after the engine's daemon too, where `up` had to start that one by itself.
 */
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { machineFolder, runtimeFilesIn } from '../core/home.ts';
import { noteProcess } from '../core/processes.ts';
import { openLog } from '../monitor/open-log.ts';
import { keepEngineDaemon } from './keep-engine-daemon.ts';
import { machineLock, tryLock } from './lock.ts';
import { supervise } from './supervisor.ts';

const lookAtEngineEvery = 1_000;
const tryEngineAgainAfter = 15_000;

const run = runtimeFilesIn(dirname(process.argv[2] ?? ''));
const lock = await tryLock(run.supervisorLock);
if (lock === undefined) process.exit(0);
const stopping = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) {
  process.on(name, () => {
    stopping.abort();
  });
}
await noteProcess(run.supervisorPid, process.pid, process.argv);
const log = openLog('supervisor', 'info');
log.info({ pid: process.pid }, 'supervisor started');
const engine = process.getuid?.() === 0 ? keepEngine(stopping.signal) : Promise.resolve();
await supervise(run, log, stopping.signal);
stopping.abort();
await engine;
log.info({}, 'supervisor stopped');
lock.close();

async function keepEngine(signal: AbortSignal): Promise<void> {
  const pause = (milliseconds: number) => sleep(milliseconds, undefined, { signal }).catch(() => undefined);
  const isOver = () => signal.aborted;
  while (!isOver()) {
    try {
      if (await keepEngineDaemon({ logFolder: machineFolder, lockFile: machineLock, log, signal }))
        log.warn({}, `the engine's daemon had ended; it was started again`);
      await pause(lookAtEngineEvery);
    } catch (error) {
      if (isOver()) return;
      log.error({ err: error }, `the engine's daemon cannot be started again yet`);
      await pause(tryEngineAgainAfter);
    }
  }
}
