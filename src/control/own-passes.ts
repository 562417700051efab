/** What control does for its own house, whatever becomes of pools. */
import { existsSync } from 'node:fs';
import { machineFolder, type Home, type RuntimeFolder } from '../core/home.ts';
import { ensureSupervisor } from './keep-supervisor.ts';
import { rotateLogs } from './rotate-logs.ts';

const lookAtLogsEvery = 1_000;
const lookAtSupervisorEvery = 500;

/** By name. Where systemd starts control, there is no supervisor to be kept. */
export function ownPasses(home: Home, run: RuntimeFolder): Record<string, () => Promise<number>> {
  const logs = async () => {
    for (const folder of process.getuid?.() === 0 ? [home.logs, machineFolder] : [home.logs]) await rotateLogs(folder);
    return lookAtLogsEvery;
  };
  const supervisor = () => ensureSupervisor({ run, logFolder: home.logs }).then(() => lookAtSupervisorEvery);
  return existsSync(run.programs) ? { logs, supervisor } : { logs };
}
