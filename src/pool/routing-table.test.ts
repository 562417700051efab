import { describe, expect, it } from 'vitest';
import { rotationOf, routingTable, type RoutedInstance, type RoutedRule } from './routing-table.ts';

const probe = {
  id: '/balancer/probes/ssh',
  protocol: 'tcp',
  port: 22,
  path: '/',
  intervalSeconds: 5,
  failures: 2,
} as const;
const rule = (change: Partial<RoutedRule> = {}): RoutedRule => ({
  id: '/balancer/rules/front',
  publicAddress: '127.77.0.1',
  publicPort: 22,
  backendPort: 22,
  backendPoolKey: '/pool',
  distribution: 'Default',
  idleTimeoutSeconds: 240,
  probe,
  isPlain: false,
  ...change,
});
const instance = (change: Partial<RoutedInstance> = {}): RoutedInstance => ({
  name: 'one',
  address: '10.0.0.4',
  running: true,
  starting: false,
  accepting: true,
  backendPoolKeys: ['/pool'],
  natPorts: { '/nat': 50_000 },
  ...change,
});
const starting = { running: false, starting: true };
const nat = { id: '/nat', key: '/nat', publicAddress: '127.77.0.1', backendPort: 22, idleTimeoutSeconds: 240 };
const table = (one: RoutedInstance, ...rules: RoutedRule[]) => routingTable(rules, [nat], [one], () => 10_000);

describe('the routing table', () => {
  it.each([
    { what: 'runs', change: {}, leads: ['/balancer/rules/front', '/nat/50000'] },
    { what: 'runs no more', change: { running: false }, leads: [] },
    { what: 'is of another pool', change: { backendPoolKeys: ['/other'] }, leads: ['/nat/50000'] },
    {
      what: 'is being started: whoever has a probe asks it already',
      change: starting,
      leads: ['/balancer/rules/front'],
    },
  ])('leads to an instance that $what by $leads', ({ change, leads }) => {
    const routes = table(instance(change), rule());
    expect(routes.filter(({ backends }) => backends.length > 0).map(({ id }) => id)).toEqual(leads);
  });

  it('leads nobody without a probe to one that is being started', () => {
    expect(table(instance(starting), rule({ probe: null })).every(({ backends }) => backends.length === 0)).toBe(true);
  });
});

describe('an instance', () => {
  const answers = () => true;
  it.each([
    { what: 'runs and answers', change: {}, healthy: answers, isIn: true },
    { what: 'runs and has not been asked', change: {}, healthy: () => undefined, isIn: false },
    { what: 'runs and does not answer', change: {}, healthy: () => false, isIn: false },
    { what: 'drains', change: { accepting: false }, healthy: answers, isIn: false },
    {
      what: 'has a mount that is bad',
      change: { heldBack: { reason: 'x', unhealthy: false } },
      healthy: answers,
      isIn: false,
    },
    { what: 'does not run', change: { running: false }, healthy: answers, isIn: false },
    { what: 'is being started and answers', change: starting, healthy: answers, isIn: true },
    { what: 'is being started', change: starting, healthy: () => undefined, isIn: false },
  ])('that $what: in rotation $isIn', ({ change, healthy, isIn }) => {
    const one = instance(change);
    expect(rotationOf(one, table(one, rule()), healthy).inRotation).toBe(isIn);
  });

  it.each([
    { what: 'may become well by itself', unhealthy: false },
    { what: 'does not', unhealthy: true },
  ])('whose mounts are bad, which $what: unhealthy $unhealthy, and takes nobody new', ({ unhealthy }) => {
    const one = instance({ heldBack: { reason: 'the share is not there', unhealthy } });
    const routes = table(one, rule());
    expect(rotationOf(one, routes, answers)).toEqual({
      ...{ inRotation: false, healthy: !unhealthy, reason: 'the share is not there' },
    });
    expect(routes.flatMap(({ backends }) => backends).map(({ accepting }) => accepting)).toEqual([false, false]);
  });

  it.each([
    { what: 'runs', change: {}, isIn: true },
    { what: 'is being started', change: starting, isIn: false },
  ])('that nobody probes and that $what: in rotation $isIn', ({ change, isIn }) => {
    const one = instance(change);
    expect(rotationOf(one, table(one, rule({ probe: null })), () => undefined).inRotation).toBe(isIn);
  });
});
