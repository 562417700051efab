/** The supervisor's process: `supervisor-main.ts PROGRAMS-FILE LIVES-FILE`. */
import { pino } from 'pino';
import { supervise } from './supervisor.ts';

const [programs = '', lives = ''] = process.argv.slice(2);
const stopping = new AbortController();
for (const name of ['SIGTERM', 'SIGINT'] as const) {
  process.on(name, () => {
    stopping.abort();
  });
}
const log = pino({ base: { process: 'supervisor' } });
log.info({ pid: process.pid }, 'supervisor started');
await supervise({ programs, lives }, log, stopping.signal);
log.info({}, 'supervisor stopped');
