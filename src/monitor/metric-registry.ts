/**
 * The metrics that both processes have: what Node and the kernel know of a process, its build, its health, and the lines
 * of its log. A registry is made in a process's composition root; there is no global one.
 */
import { collectDefaultMetrics, Counter, Gauge, Registry } from 'prom-client';
import { logLevels } from '../core/log-levels.ts';
import type { Health } from './health.ts';

export interface ProcessMetrics {
  registry: Registry;
  /** A line of this level was written to the log. */
  logged(level: string): void;
  /** The text for Prometheus, with the health as it is now. */
  expose(health: Health): Promise<{ contentType: string; text: string }>;
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
    registers,
  }).set({ version, revision }, 1);
  const healthy = new Gauge({
    name: 'poolhouse_healthy',
    help: '1 where /healthz answers 200, 0 where it answers 503.',
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
  };
}
