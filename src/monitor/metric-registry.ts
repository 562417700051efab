/**
 * The metrics that both processes have: what Node and the kernel know of a process, its build, its health, and the lines
 * of its log. A registry is made in a process's composition root; there is no global one.
 */
import { AggregatorRegistry, collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import { z } from 'zod';
import { logLevels } from '../core/log-levels.ts';
import type { Health } from './health.ts';

export interface ProcessMetrics {
  registry: Registry;
  /** A line of this level was written to the log. */
  logged(level: string): void;
  /** The text for Prometheus, with the health as it is now. */
  expose(health: Health): Promise<Exposed>;
  /** The same as values, to be summed up with those of other processes. */
  values(health: Health): Promise<MetricValues>;
}

export interface Exposed {
  contentType: string;
  text: string;
}

/** What a process hands to another one that tells of both. JSON knows no NaN: it comes as null. */
export const metricsSchema = z.array(
  z.looseObject({
    name: z.string(),
    aggregator: z.enum(['sum', 'first', 'min', 'max', 'average', 'omit']),
    values: z.array(
      z.looseObject({
        value: z
          .number()
          .nullable()
          .transform((value) => value ?? NaN),
      }),
    ),
  }),
);
export type MetricValues = z.infer<typeof metricsSchema>;

/** The metrics of several processes as those of one, each put together as it says. The first process is who tells. */
export async function sumMetrics(processes: readonly MetricValues[]): Promise<Exposed> {
  const lists = processes.map((metrics) =>
    metrics.map((metric) => (metric.aggregator === 'omit' ? { ...metric, aggregator: 'first' } : metric)),
  );
  const registry = AggregatorRegistry.aggregate(lists);
  return { contentType: registry.contentType, text: await registry.metrics() };
}

/** Gauges that the library names as counters are named: a check of the conventions refuses them. */
const misnamed = ['nodejs_active_handles_total', 'nodejs_active_requests_total', 'nodejs_active_resources_total'];

/** @param build version and commit, `0.1.0+2c027fe`; the commit is missing where nobody knows it. */
export function createProcessMetrics(build: string): ProcessMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  for (const name of misnamed) registry.removeSingleMetric(name);
  const [version = '', revision = 'unknown'] = build.split('+');
  new Gauge({
    name: 'poolhouse_build_info',
    help: 'The program that runs, in its labels; always 1.',
    labelNames: ['version', 'revision'],
    aggregator: 'first',
    registers,
  }).set({ version, revision }, 1);
  const healthy = new Gauge({
    name: 'poolhouse_healthy',
    help: '1 where /healthz answers 200, 0 where it answers 503.',
    aggregator: 'first',
    registers,
  });
  const lines = new Counter({
    name: 'poolhouse_log_lines_total',
    help: 'Lines written to the log of the process.',
    labelNames: ['level'],
    registers,
  });
  for (const level of logLevels) lines.inc({ level }, 0);
  return {
    registry,
    logged: (level) => {
      lines.inc({ level });
    },
    async expose(health) {
      healthy.set(health.healthy ? 1 : 0);
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
    async values(health) {
      healthy.set(health.healthy ? 1 : 0);
      return metricsSchema.parse(JSON.parse(JSON.stringify(await registry.getMetricsAsJSON())));
    },
  };
}
