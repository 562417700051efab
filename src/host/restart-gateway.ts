/** Replaces the gateways that serve by new ones, as the program and the configuration are now. No connection ends. */
import { PoolhouseError } from '../core/errors.ts';
import { runtimeFolderOf, type Home } from '../core/home.ts';
import { readConfigFile } from './config-file.ts';
import { readInstallation } from './installations.ts';
import { describePrograms } from './programs.ts';
import type { Progress } from './progress.ts';
import { createSupervision } from './supervision/supervision.ts';

/** Nil when it returns: the new ones serve. `HostNotReady` where nothing runs, or they cannot: then the old ones go on. */
export async function restartGateway(home: Home, progress: Progress): Promise<number[]> {
  const installation = await readInstallation(home);
  if (installation === undefined)
    throw new PoolhouseError(
      'HostNotReady',
      `There is no installation in ${home.folder} yet. 'poolhouse up' makes one.`,
    );
  const supervision = await createSupervision({ home, installation });
  if ((await supervision.state()).gateways.length === 0)
    throw new PoolhouseError('HostNotReady', `No gateway runs that could be replaced. 'poolhouse up' starts it.`);
  const run = runtimeFolderOf(home, installation.id, process.getuid?.() === 0);
  const { config } = await readConfigFile(home.config);
  await supervision.replaceGateways(
    await describePrograms({ home, run, installation, engineSocket: undefined, config }), // which is control's
    progress,
  );
  return (await supervision.state()).gateways.flatMap(({ pid }) => pid ?? []);
}
