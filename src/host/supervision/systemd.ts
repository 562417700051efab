/** Supervision by systemd: units and one file of tmpfiles.d, named after the installation, and nothing that runs besides. */
import { readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { RuntimeFolder } from '../../core/home.ts';
import { programFiles } from '../../core/program-files.ts';
import type { Progress } from '../progress.ts';
import { settleGateways } from './settle-gateways.ts';
import type { ProgramName, Programs, Supervision, SupervisionParts } from './supervision.ts';
import { mustSystemctl, systemctl, unitState, writeWhole } from './systemctl.ts';
import { createSystemdGateways, unitFolder } from './systemd-gateways.ts';
import {
  accountOf,
  isReleased,
  markOfUnit,
  renderRuntimePaths,
  renderUnit,
  runtimePaths,
  serialOfUnit,
  unitName,
} from './units.ts';

export interface SystemdParts extends SupervisionParts {
  run: RuntimeFolder;
  /** What a release before this one, or this machine without systemd, may have left running. */
  own: Supervision;
}

export function createSystemdSupervision(parts: SystemdParts): Supervision {
  const { home, run, installation, own } = parts;
  const control = unitName(installation.id, 'control');
  /** Of a release in which a gateway had no number. */
  const oldGateway = unitName(installation.id, 'gateway');
  const fileOf = (unit: string) => join(unitFolder, unit);
  const textOf = (unit: string) => readFile(fileOf(unit), 'utf8').catch(() => undefined);
  const runtimeFile = `/etc/tmpfiles.d/poolhouse-${installation.id}.conf`;

  /** Units of gateways that there are, youngest first. */
  async function gatewayUnits(): Promise<string[]> {
    const serials = (await readdir(unitFolder)).flatMap((file) => serialOfUnit(installation.id, file) ?? []);
    return serials.toSorted((a, b) => b - a).map((serial) => unitName(installation.id, 'gateway', serial));
  }

  async function stop(until: 'start' | 'boot'): Promise<ProgramName[]> {
    const stopped = new Set(await own.stop(until));
    for (const [name, units] of [
      ['gateway', [...(await gatewayUnits()), oldGateway]],
      ['control', [control]],
    ] as const) {
      for (const unit of units) if ((await unitState(unit)).pid !== undefined) stopped.add(name);
      // Those that are not there cannot be disabled: then there is nothing to be done.
      const there: string[] = [];
      for (const unit of units)
        if ((await textOf(unit)) !== undefined || (await unitState(unit)).active !== 'inactive') there.push(unit);
      if (there.length > 0) await mustSystemctl(...(until === 'boot' ? ['stop'] : ['disable', '--now']), ...there);
    }
    return [...stopped];
  }

  const unitParts = (programs: Programs) => ({
    ...{ home, run, programs },
    programFolders: [...new Set([programFiles.root, dirname(process.execPath)])],
  });

  async function settle(programs: Programs, anew: boolean, progress: Progress): Promise<void> {
    const render = (serial: number) => renderUnit('gateway', unitParts(programs), serial);
    const mark = markOfUnit(render(1)) ?? '';
    const runs = createSystemdGateways(installation.id, run, render);
    await settleGateways({
      runs,
      wanted: { mark, count: programs.gateways, anew },
      folder: run.gateway,
      progress,
    });
  }

  return {
    kind: 'systemd',

    async start(programs, progress) {
      await own.stop('start');
      const text = renderUnit('control', unitParts(programs));
      // Ended before the file is another: whoever is cut off in between finds that it differs still.
      const before = await textOf(control);
      if (markOfUnit(before ?? '') !== markOfUnit(text) && (await unitState(control)).pid !== undefined)
        await progress.step('control ends, to begin again as it is now', () => mustSystemctl('stop', control));
      if ((await textOf(oldGateway)) !== undefined) {
        await progress.step('the gateway of an older release ends: it cannot be replaced while it serves', () =>
          mustSystemctl('disable', '--now', oldGateway),
        );
        await rm(fileOf(oldGateway));
      }
      await writeWhole(runtimeFile, renderRuntimePaths(runtimePaths(run, accountOf(installation.engine, true))));
      await writeWhole(fileOf(control), text);
      if ((await systemctl('show', '--property=NeedDaemonReload', control)).stdout.includes('=yes'))
        await mustSystemctl('daemon-reload');
      await systemctl('reset-failed', control); // where it has failed: the count begins anew
      await mustSystemctl('enable', '--now', control);
      await settle(programs, false, progress);
    },

    replaceGateways: (programs, progress) => settle(programs, true, progress),

    stop,

    async remove() {
      await own.remove();
      await stop('start');
      const units = [control, oldGateway, ...(await gatewayUnits())];
      // An operator's drop-ins too: those of a gateway are of all gateways.
      const files = [...units, ...units.map((unit) => `${unit}.d`), `poolhouse-${installation.id}-gateway-.service.d`];
      for (const file of [...files.map(fileOf), runtimeFile]) await rm(file, { recursive: true, force: true });
      await mustSystemctl('daemon-reload');
      await systemctl('reset-failed', ...units);
    },

    async state() {
      const units = await gatewayUnits();
      const texts = await Promise.all(units.map(textOf));
      const kept = units.filter((_unit, index) => !isReleased(texts[index] ?? ''));
      return { control: await unitState(control), gateways: await Promise.all(kept.map(unitState)) };
    },
  };
}
