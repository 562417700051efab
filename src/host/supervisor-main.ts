/**
 * The supervisor's process: `supervisor-main.ts PROGRAMS-FILE`, which lies in the runtime folder. There is one at a time: a second one ends at once.
 * It notes its own pid, for nobody else knows whether it is the one.
 */
import { dirname } from 'node:path';
import { runtimeFilesIn } from '../core/home.ts';
import { noteProcess } from '../core/processes.ts';
import { openLog } from '../monitor/open-log.ts';
import { tryLock } from './lock.ts';
import { supervise } from './supervisor.ts';

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
await supervise(run, log, stopping.signal);
log.info({}, 'supervisor stopped');
lock.close();
