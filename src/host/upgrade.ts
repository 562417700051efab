/**
 * After an upgrade the processes still run the build that was there before. A note beside their pid files says which
 * program started them; `up` of any other ends them, so that all begin again as one build.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RuntimeFolder } from '../core/home.ts';
import { describeBuild, type Build } from './build.ts';
import { findProcess, stopProcess } from './processes.ts';
import type { Progress } from './progress.ts';

/** A program on this machine: which build, and where it lies. */
export interface InstalledBuild extends Build {
  root: string;
}

const stopLimit = 25_000;

/**
 * Ends what another build started, and notes ours. Control first, the gateway last and for as short as can be: the
 * connections through it end. Nothing is ended, and nothing said, where what runs is ours.
 */
export async function endOtherBuild(
  run: Pick<RuntimeFolder, 'folder' | 'supervisorPid' | 'controlPid' | 'gatewayPid'>,
  ours: InstalledBuild,
  progress: Progress,
): Promise<void> {
  const note = join(run.folder, 'build');
  const mark = markOf(ours);
  if ((await readFile(note, 'utf8').catch(() => undefined)) === mark) return;
  const pidFiles = [run.supervisorPid, run.controlPid, run.gatewayPid]; // the supervisor would start the others again
  const running = await Promise.all(pidFiles.map((file) => findProcess(file)));
  if (running.some((one) => one !== undefined)) {
    await progress.step(`what runs ends, to begin again as ${describeBuild(ours)}`, async () => {
      for (const file of pidFiles) await stopProcess(file, stopLimit);
    });
  }
  await writeFile(note, mark, { mode: 0o600 });
}

/**
 * Two programs of one mark are the same: version, commit and folder. That files of a clone differ from its commit does
 * not count, or a file that somebody leaves there would end everybody's connections.
 */
function markOf({ version, build, root }: InstalledBuild): string {
  return JSON.stringify([version, build?.replace(/-dirty$/, '') ?? null, root]);
}
