/** Stops the engine's daemon when our own code started it and nobody else needs it. */
import { stopEngineDaemon } from '../src/host/engine-daemon.ts';

const { stopped } = await stopEngineDaemon({ signal: AbortSignal.timeout(60_000) });
if (stopped.length > 0) console.log(`Stopped: ${stopped.join(', ')}.`);
