import { describe, expect, it } from 'vitest';
import { parseMetrics } from './metrics.ts';

const labels = (name: string, more = '', project = 'ours') =>
  `{name="${name}",project="${project}",type="container"${more}}`;
const text = [
  '# HELP lxd_cpu_seconds_total The total number of CPU time used in seconds.',
  '# TYPE lxd_cpu_seconds_total counter',
  `lxd_cpu_seconds_total${labels('a', ',cpu="0",mode="system"')} 1.5`,
  `lxd_cpu_seconds_total${labels('a', ',cpu="1",mode="user"')} 2`,
  `lxd_cpu_seconds_total${labels('a', ',cpu="1",mode="idle"')} 900`,
  `lxd_disk_read_bytes_total${labels('a', ',device="loop0"')} 4096`,
  `lxd_disk_read_bytes_total${labels('a', ',device="loop1"')} 1`,
  `lxd_disk_written_bytes_total${labels('a', ',device="loop0"')} 8192`,
  `lxd_memory_MemTotal_bytes${labels('a')} 1.34217728e+08`,
  `lxd_memory_MemAvailable_bytes${labels('a')} 1.3e+08`,
  `lxd_network_receive_bytes_total${labels('a', ',device="eth0"')} 10`,
  `lxd_network_receive_bytes_total${labels('a', ',device="lo"')} 7777`,
  `lxd_network_transmit_bytes_total${labels('a', ',device="eth0"')} 20`,
  `lxd_memory_MemTotal_bytes${labels('b')} 100`,
  `lxd_cpu_seconds_total${labels('a', ',cpu="0",mode="user"', 'theirs')} 5000`,
  '# EOF',
].join('\n');

describe("the daemon's metrics", () => {
  it('become numbers of each instance, without idle time and without what an instance says to itself', () => {
    expect(parseMetrics(text, 'ours')).toEqual([
      {
        ...{ name: 'a', cpuSeconds: 3.5, memoryBytes: 4_217_728, memoryLimitBytes: 134_217_728 },
        ...{ networkInBytes: 10, networkOutBytes: 20, diskReadBytes: 4097, diskWriteBytes: 8192 },
      },
      {
        ...{ name: 'b', cpuSeconds: 0, memoryBytes: 100, memoryLimitBytes: 100 },
        ...{ networkInBytes: 0, networkOutBytes: 0, diskReadBytes: 0, diskWriteBytes: 0 },
      },
    ]);
  });

  it('are read in the words of both daemons', () => {
    expect(parseMetrics(text.replaceAll('lxd_', 'incus_'), 'ours')).toEqual(parseMetrics(text, 'ours'));
  });
});
