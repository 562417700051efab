import { Registry } from 'prom-client';
import { describe, expect, it } from 'vitest';
import { instanceConditions, type InstanceCondition } from '../pool/instance-condition.ts';
import { createControlMetrics } from './control-metrics.ts';
import type { PoolFacts } from './pool-facts.ts';

const facts = (changes: Partial<PoolFacts> = {}): PoolFacts => ({
  key: '/pools/team',
  resourceGroup: 'Lab',
  pool: 'Team',
  capacity: 1,
  memoryBytes: 0,
  instances: Object.fromEntries(instanceConditions.map((one) => [one, 0])) as Record<InstanceCondition, number>,
  badMounts: 1,
  sessions: 0,
  peopleSessions: { ssh: 2, http: 0 },
  waiting: 3,
  users: new Map([['team-000001', 2]]),
  failed: false,
  ...changes,
});
const moment = (...pools: PoolFacts[]) => ({
  loops: [],
  pools,
  hostMemoryBytes: 0,
  certificates: [],
  gatewaySeenAt: undefined,
});

describe('what the metrics tell of people', () => {
  it('is how many, and never who', async () => {
    const registry = new Registry();
    const metrics = createControlMetrics(registry);
    metrics.placementEnded('/pools/team', 'placed', 1_500);
    metrics.placementEnded('/pools/team', 'left', 100);
    metrics.take(moment(facts()));
    const text = await registry.metrics();
    const labels = 'resource_group="Lab",pool="Team"';
    for (const line of [
      `poolhouse_pool_instances_with_bad_mounts{${labels}} 1`,
      `poolhouse_pool_people_sessions{${labels},protocol="ssh"} 2`,
      `poolhouse_pool_people_sessions{${labels},protocol="http"} 0`,
      `poolhouse_pool_people_waiting{${labels}} 3`,
      `poolhouse_pool_instance_users{${labels},pool_instance="team-000001"} 2`,
      `poolhouse_placements_total{${labels},result="placed"} 1`,
      `poolhouse_placements_total{${labels},result="refused"} 0`,
      `poolhouse_placements_total{${labels},result="left"} 1`,
      'poolhouse_placement_duration_seconds_count 1',
      'poolhouse_placement_duration_seconds_sum 1.5',
    ])
      expect(text.split('\n')).toContain(line);
    // Counted once, however often somebody looks; and gone with the pool.
    metrics.take(moment(facts()));
    expect(await registry.metrics()).toContain(`poolhouse_placements_total{${labels},result="placed"} 1\n`);
    metrics.take(moment());
    expect(await registry.metrics()).not.toContain('Team');
  });
});
