import { Command } from 'commander';
import { runtimeFolderOf } from '../core/home.ts';
import { monitorUrls } from '../core/installation.ts';
import type { StatusDocument } from '../control/status.ts';
import { readInstallation } from '../host/installations.ts';
import { askControl } from '../host/local-api.ts';
import { createSupervision } from '../host/supervision/supervision.ts';
import type { Shared } from './shared.ts';
import { plainLine } from './plain-text.ts';
import { table, tableWidth } from './table.ts';

export function statusCommand({ home }: Shared): Command {
  return new Command('status')
    .description('show pools, front ends, instances and shares')
    .option('--json', 'print one JSON document')
    .addHelpText('after', '\nExamples:\n  poolhouse status\n  poolhouse status --json | jq .pools[].frontEnds')
    .action(async (options: { json?: boolean }) => {
      const status = await readStatus(home);
      process.stdout.write(
        options.json === true
          ? `${JSON.stringify(status, null, 2)}\n`
          : describeStatus(status, tableWidth(process.stdout)),
      );
    });
}

/** The status; when control does not answer, what can be told without it. */
export async function readStatus(home: Shared['home']): Promise<StatusDocument> {
  const installation = await readInstallation(home);
  const nothing: StatusDocument = {
    control: { url: '', healthy: false, pid: 0 },
    gateway: { healthy: false, pid: null },
    gateways: [],
    pools: [],
  };
  if (installation === undefined) return nothing;
  const isRoot = process.getuid?.() === 0;
  const run = runtimeFolderOf(home, installation.id, isRoot);
  const url = `https://127.0.0.1:${installation.apiPort}`;
  const text = await askControl(run.adminSocket, '/v1/status').catch(() => undefined);
  const told = text === undefined ? undefined : (JSON.parse(text) as StatusDocument); // of our own process
  if (told !== undefined && told.gateway.pid !== null) return told;
  const supervision = await createSupervision({ home, installation });
  const { control, gateways } = await supervision.state();
  const pid = gateways.find((one) => one.pid !== undefined)?.pid ?? null;
  // A control that has just begun has not heard of gateways yet: they run all the same.
  if (told !== undefined) return { ...told, gateway: { ...told.gateway, pid } };
  return {
    control: { url, healthy: false, pid: control.pid ?? 0, ...monitorUrls(installation, 'control') },
    gateway: { healthy: pid !== null, pid, ...monitorUrls(installation, 'gateway') },
    gateways: [],
    pools: [],
  };
}

/** For people: tables that fit their terminal. Pure. */
export function describeStatus(status: StatusDocument, width: number): string {
  const lines: string[] = [];
  const state = (name: string, healthy: boolean, pid: number | null) =>
    `${name.padEnd(8)} ${healthy ? 'serves' : pid === null || pid === 0 ? 'does not run' : 'does not answer'}${pid === null || pid === 0 ? '' : ` (pid ${pid})`}`;
  lines.push(
    `${state('control', status.control.healthy, status.control.pid)}${status.control.url === '' ? '' : `  ${status.control.url}`}`,
  );
  lines.push(state('gateway', status.gateway.healthy, status.gateway.pid));
  for (const { pid, phase, connections } of status.gateways.filter((one) => one.pid !== status.gateway.pid))
    lines.push(
      `         ${phase === 'serving' ? `serves (pid ${pid})` : `leaves (pid ${pid}): carries ${connections === 1 ? '1 connection' : `${connections} connections`} to the end`}`,
    );
  const urls = [status.control, status.gateway].map((one) => one.healthUrl ?? '').filter((one) => one !== '');
  if (urls.length > 0) lines.push(`health   ${urls.join('  ')}  (metrics: /metrics)`);
  for (const reason of status.control.reasons ?? []) lines.push(plainLine(`! ${reason}`));
  for (const note of status.notes ?? []) lines.push(plainLine(`! ${note}`));
  if (!status.control.healthy) lines.push('', `Start it with: poolhouse up`);
  else if (status.pools.length === 0) lines.push('', 'There is no pool yet. A first one: poolhouse up --sample');
  if (status.fileServer !== undefined) lines.push(...describeFileServer(status.fileServer, width));
  for (const pool of status.pools) {
    const standing = pool.instances.filter(({ standby }) => standby).length;
    const counted = `${pool.instances.length - standing} of ${pool.capacity} instances${standing === 0 ? '' : ` and ${standing} in standby`}`;
    lines.push('', plainLine(`${pool.name} in ${pool.resourceGroup}: ${counted}, ${pool.provisioningState}`));
    lines.push(
      ...table(
        ['front end', 'address', 'leads to', 'in rotation'],
        pool.frontEnds.map((one) => [
          one.rule,
          `${one.address}:${one.port}`,
          `port ${one.backendPort}`,
          String(one.instancesInRotation),
        ]),
        width,
      ),
    );
    lines.push(
      '',
      ...table(
        ['id', 'instance', 'address', 'state', 'sessions'],
        pool.instances.map((one) => [one.instanceId, one.name, one.address, stateOf(one), String(one.sessions)]),
        width,
      ),
    );
    if (pool.shares.length > 0)
      lines.push(
        '',
        ...table(
          ['share', 'mounted at'],
          pool.shares.map((one) => [`${one.account}/${one.share}`, one.mountPoint]),
          width,
        ),
      );
  }
  return `${lines.join('\n')}\n`;
}

function describeFileServer(
  { state, address, reason, smb, nfs }: NonNullable<StatusDocument['fileServer']>,
  width: number,
): string[] {
  const ways = [
    ...smb.map(({ account, path }) => ['SMB', path, `user ${account}, a key of ${account}`]),
    ...nfs.map(({ source, clients, readOnly }) => [
      'NFS',
      source,
      `${clients.join(', ')}${readOnly ? ', read-only' : ''}`,
    ]),
  ];
  return [
    '',
    `file server: ${state} (${address})`,
    ...(reason === undefined ? [] : [plainLine(`! ${reason}`)]),
    ...(ways.length === 0 ? [] : table(['way in', 'share', 'for'], ways, width)),
  ];
}

function stateOf(instance: StatusDocument['pools'][number]['instances'][number]): string {
  if (instance.standby) return `standby, ${instance.power}`;
  if (instance.draining) return 'draining';
  if (instance.inRotation) return 'in rotation';
  return instance.power === 'running' && instance.reason !== ''
    ? `not in rotation: ${instance.reason}`
    : instance.power;
}
