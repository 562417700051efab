/** The daemon's metrics (OpenMetrics text) as numbers for each instance of a project. */
import type { InstanceMetrics } from '../engine.ts';

export function parseMetrics(text: string, project: string): InstanceMetrics[] {
  const rows = new Map<string, InstanceMetrics>();
  let free = new Map<string, number>();
  for (const line of text.split('\n')) {
    const match = /^(?:lxd|incus)_(\w+)\{([^}]*)\} (\S+)$/.exec(line);
    if (match === null) continue;
    const [, metric = '', labelText = '', valueText = ''] = match;
    const labels = new Map(
      [...labelText.matchAll(/(\w+)="([^"]*)"/g)].map((label) => [label[1] ?? '', label[2] ?? '']),
    );
    const name = labels.get('name');
    if (labels.get('project') !== project || name === undefined) continue;
    const row = rows.get(name) ?? { name, cpuSeconds: 0, memoryBytes: 0, networkInBytes: 0, networkOutBytes: 0 };
    rows.set(name, row);
    const value = Number(valueText);
    if (metric === 'cpu_seconds_total' && labels.get('mode') !== 'idle') row.cpuSeconds += value;
    else if (metric === 'memory_MemTotal_bytes') row.memoryBytes += value;
    else if (metric === 'memory_MemAvailable_bytes') free = free.set(name, value);
    else if (metric === 'network_receive_bytes_total' && labels.get('device') !== 'lo') row.networkInBytes += value;
    else if (metric === 'network_transmit_bytes_total' && labels.get('device') !== 'lo') row.networkOutBytes += value;
  }
  return [...rows.values()].map((row) => ({
    ...row,
    memoryBytes: Math.max(0, row.memoryBytes - (free.get(row.name) ?? 0)),
  }));
}
