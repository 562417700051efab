/**
 * What brings our own supervisor back after a reboot: an init script, on a machine that boots by such scripts (sysvinit,
 * OpenRC). Elsewhere `poolhouse up` does it by hand.
 */
import { access, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Home } from '../../core/home.ts';
import { programFiles } from '../../core/program-files.ts';
import { findProgram, systemFolders } from '../find-program.ts';
import { runCommand } from '../run-command.ts';

/** Where things are. Tests bring their own. */
export interface BootPlaces {
  scripts: string;
  /** One of them is there where the machine boots by scripts. */
  signs: readonly string[];
}

export const bootPlaces: BootPlaces = { scripts: '/etc/init.d', signs: ['/etc/inittab', '/sbin/openrc'] };

const nameOf = (installation: string) => `poolhouse-${installation}`;

/** Writes the script and has it run at the start of the machine; nothing where the machine does not boot so. */
export async function installBootScript(installation: string, home: Home, places: BootPlaces): Promise<void> {
  const bootsByScripts = (await Promise.all(places.signs.map(exists))).includes(true);
  if (!bootsByScripts || (await findProgram('update-rc.d')) === undefined) return;
  const command = [process.execPath, programFiles.program('cli/main')];
  const file = join(places.scripts, nameOf(installation));
  await writeFile(file, renderBootScript({ name: nameOf(installation), home: home.folder, command }), { mode: 0o755 });
  await updateRc(nameOf(installation), 'defaults');
}

export async function removeBootScript(installation: string, places: BootPlaces): Promise<void> {
  const file = join(places.scripts, nameOf(installation));
  if (!(await exists(file))) return;
  await rm(file);
  await updateRc(nameOf(installation), 'remove');
}

export interface BootScript {
  name: string;
  home: string;
  /** Starts the command line, by whole paths. */
  command: readonly string[];
}

/**
 * The script's text, by the Linux Standard Base. Pure. At the end of the machine init's own signal ends our processes,
 * as `stop` does.
 */
export function renderBootScript({ name, home, command }: BootScript): string {
  return `#!/bin/sh
### BEGIN INIT INFO
# Provides:          ${name}
# Required-Start:    $remote_fs $network
# Required-Stop:     $remote_fs $network
# Should-Start:      incus lxd nftables
# Should-Stop:       incus lxd
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: Poolhouse
### END INIT INFO
# Written by 'poolhouse up', removed by 'poolhouse down'.
PATH=${systemFolders.join(':')}
POOLHOUSE_HOME=${quote(home)}
export PATH POOLHOUSE_HOME
case "$1" in
  start) ${command.map(quote).join(' ')} up --boot ;;
  stop) ${command.map(quote).join(' ')} down --boot ;;
  restart | force-reload) "$0" stop && "$0" start ;;
  status) ${command.map(quote).join(' ')} status ;;
  *)
    echo "usage: $0 start|stop|restart|force-reload|status" >&2
    exit 2
    ;;
esac
`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

async function updateRc(name: string, verb: 'defaults' | 'remove'): Promise<void> {
  await runCommand('update-rc.d', [name, verb], { env: { ...process.env, PATH: systemFolders.join(':') } });
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
