/**
 * Gateways that systemd runs: each a unit with its serial in the name. One that leaves is the same unit, which is not begun
 * again: neither now nor at the start of the machine.
 */
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { RuntimeFolder } from '../../core/home.ts';
import { gatewaySocketName } from '../../link/gateway-words.ts';
import type { GatewayRun } from './plan-gateways.ts';
import type { GatewayRuns } from './settle-gateways.ts';
import { mustSystemctl, systemctl, unitState, writeWhole } from './systemctl.ts';
import { isReleased, markOfUnit, released, serialOfUnit, unitName } from './units.ts';

export const unitFolder = '/etc/systemd/system';

/** @param render the text of a gateway's unit as it is begun now */
export function createSystemdGateways(
  installation: string,
  run: RuntimeFolder,
  render: (serial: number) => string,
): GatewayRuns {
  const unitOf = (serial: number) => unitName(installation, 'gateway', serial);
  const fileOf = (serial: number) => join(unitFolder, unitOf(serial));

  return {
    async list() {
      const serials = (await readdir(unitFolder)).flatMap((file) => serialOfUnit(installation, file) ?? []);
      return Promise.all(
        serials.map(async (serial): Promise<GatewayRun> => {
          const text = await readFile(fileOf(serial), 'utf8');
          const { pid } = await unitState(unitOf(serial));
          return { serial, kept: !isReleased(text), pid, mark: markOfUnit(text) };
        }),
      );
    },

    async keep(serials) {
      const units = serials.map(unitOf);
      for (const serial of serials) await writeWhole(fileOf(serial), render(serial));
      // What was written now, or an operator's drop-in: systemd has not read it.
      const { stdout } = await systemctl('show', '--property=NeedDaemonReload,LoadState', ...units);
      if (/=yes|=not-found/.test(stdout)) await mustSystemctl('daemon-reload');
      await systemctl('reset-failed', ...units); // where one has failed: the count begins anew
      await mustSystemctl('enable', '--now', ...units);
    },

    async release(serials) {
      if (serials.length === 0) return;
      for (const serial of serials) await writeWhole(fileOf(serial), released(await readFile(fileOf(serial), 'utf8')));
      await mustSystemctl('disable', ...serials.map(unitOf)); // which also reads the files again
    },

    async end(serials) {
      if (serials.length === 0) return;
      await mustSystemctl('disable', '--now', ...serials.map(unitOf));
      for (const serial of serials) {
        await rm(fileOf(serial), { force: true });
        await rm(join(run.gateway, gatewaySocketName(serial)), { force: true });
        for (const name of await readdir(run.gateway).catch(() => []))
          if (name.endsWith(`.json.${String(serial)}`)) await rm(join(run.gateway, name), { force: true });
      }
      await mustSystemctl('daemon-reload');
      await systemctl('reset-failed', ...serials.map(unitOf));
    },
  };
}
