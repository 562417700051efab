import { Gauge, Histogram } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { createProcessMetrics, sumMetrics } from './metric-registry.ts';

const healthy = { process: 'gateway' as const, healthy: true, reasons: [], notes: [] };

/** What a process tells that has so many connections. */
function processWith(connections: number) {
  const metrics = createProcessMetrics('1.2.3+abc');
  const registers = [metrics.registry];
  new Gauge({ name: 'poolhouse_open', help: 'x', labelNames: ['rule'], registers }).set({ rule: 'ssh' }, connections);
  new Gauge({ name: 'poolhouse_revision', help: 'x', aggregator: 'first', registers }).set(connections);
  new Gauge({ name: 'poolhouse_unknown', help: 'x', registers }).set(NaN);
  new Histogram({ name: 'poolhouse_seconds', help: 'x', buckets: [1, 5], registers }).observe(connections);
  metrics.logged('info');
  return metrics;
}

describe('the metrics of several processes', () => {
  it('are summed up where they are sums, and told by the first where all see the same', async () => {
    const both = await Promise.all([2, 3].map((count) => processWith(count).values(healthy)));
    const { text } = await sumMetrics(both);
    expect(text).toContain('poolhouse_open{rule="ssh"} 5\n');
    expect(text).toContain('poolhouse_revision 2\n');
    expect(text).toMatch(/^poolhouse_unknown nan$/im);
    expect(text).toContain('poolhouse_seconds_bucket{le="+Inf"} 2\n');
    expect(text).toContain('poolhouse_seconds_count 2\n');
    expect(text).toContain('poolhouse_log_lines_total{level="info"} 2\n');
    expect(text).toContain('poolhouse_healthy 1\n');
    expect(text).toContain('poolhouse_build_info{version="1.2.3",revision="abc"} 1\n');
  });

  it('of one are those that it exposes itself', async () => {
    const metrics = processWith(4);
    const names = (text: string) =>
      text
        .split('\n')
        .flatMap((line) => /^# TYPE (.*)/.exec(line)?.[1] ?? [])
        .toSorted();
    const alone = await metrics.expose(healthy);
    const summed = await sumMetrics([await metrics.values(healthy)]);
    expect(names(summed.text)).toEqual(names(alone.text));
    expect(summed.contentType).toBe(alone.contentType);
  });
});
