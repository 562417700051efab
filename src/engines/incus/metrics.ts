/**
 * The daemon's metrics (OpenMetrics text, one cheap call) as numbers for each instance of a project
 * (https://linuxcontainers.org/incus/docs/main/reference/provided_metrics/). The daemon measures again after some seconds only:
 * who asks twice within eight may be told the same.
 */
import type { InstanceMetrics } from '../engine.ts';

/** What adds up over the CPUs, devices and disks of an instance. */
const sums: ReadonlyMap<string, Exclude<keyof InstanceMetrics, 'name'>> = new Map([
  ['cpu_seconds_total', 'cpuSeconds'],
  ['memory_MemTotal_bytes', 'memoryLimitBytes'],
  ['network_receive_bytes_total', 'networkInBytes'],
  ['network_transmit_bytes_total', 'networkOutBytes'],
  ['disk_read_bytes_total', 'diskReadBytes'],
  ['disk_written_bytes_total', 'diskWriteBytes'],
]);

export function parseMetrics(text: string, project: string): InstanceMetrics[] {
  const rows = new Map<string, InstanceMetrics>();
  const free = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^(?:lxd|incus)_(\w+)\{([^}]*)\} (\S+)$/.exec(line);
    if (match === null) continue;
    const [, metric = '', labelText = '', valueText = ''] = match;
    const labels = new Map(
      [...labelText.matchAll(/(\w+)="([^"]*)"/g)].map((label) => [label[1] ?? '', label[2] ?? '']),
    );
    const name = labels.get('name');
    if (labels.get('project') !== project || name === undefined) continue;
    const row = rows.get(name) ?? nothingUsed(name);
    rows.set(name, row);
    const value = Number(valueText);
    if (metric === 'memory_MemAvailable_bytes') free.set(name, value);
    const sum = sums.get(metric);
    if (sum !== undefined && labels.get('mode') !== 'idle' && labels.get('device') !== 'lo') row[sum] += value;
  }
  return [...rows.values()].map((row) => ({
    ...row,
    memoryBytes: Math.max(0, row.memoryLimitBytes - (free.get(row.name) ?? 0)),
  }));
}

const nothingUsed = (name: string): InstanceMetrics => ({
  ...{ name, cpuSeconds: 0, memoryBytes: 0, memoryLimitBytes: 0, networkInBytes: 0, networkOutBytes: 0 },
  ...{ diskReadBytes: 0, diskWriteBytes: 0 },
});
