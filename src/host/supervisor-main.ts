/** The supervisor's process: `supervisor-main.ts PROGRAMS-FILE LIVES-FILE`. */
import { openLog } from '../monitor/open-log.ts';
import { supervise } from './supervisor.ts';

const [programs = '', lives = ''] = process.argv.slice(2);
const stopping = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) {
  process.on(name, () => {
    stopping.abort();
  });
}
const log = openLog('supervisor', 'info');
log.info({ pid: process.pid }, 'supervisor started');
await supervise({ programs, lives }, log, stopping.signal);
log.info({}, 'supervisor stopped');
