import { describe, expect, it } from 'vitest';
import type { StatusDocument } from '../control/status.ts';
import { describeStatus } from './status.ts';

type Pool = StatusDocument['pools'][number];
type Instance = Pool['instances'][number];

const instance = (over: Partial<Instance>): Instance => ({
  instanceId: '0',
  name: 'team000000',
  address: '10.231.0.5',
  power: 'running',
  inRotation: true,
  draining: false,
  standby: false,
  sessions: 0,
  reason: '',
  ...over,
});
const pool = (over: Partial<Pool>): Pool => ({
  id: '/subscriptions/s/…',
  resourceGroup: 'group',
  name: 'team',
  capacity: 1,
  provisioningState: 'Succeeded',
  frontEnds: [],
  instances: [],
  shares: [],
  ...over,
});
const serving = (...pools: Pool[]): StatusDocument => ({
  control: { url: 'https://127.0.0.1:8943', healthy: true, pid: 7 },
  gateway: { healthy: true, pid: 8 },
  gateways: [{ pid: 8, phase: 'serving', since: '2026-01-01T00:00:00.000Z', connections: 3, sessions: 1 }],
  pools,
});

describe('the status in words', () => {
  it('says what to do when nothing runs', () => {
    const nothing: StatusDocument = {
      control: { url: '', healthy: false, pid: 0 },
      gateway: { healthy: false, pid: null },
      gateways: [],
      pools: [],
    };
    expect(describeStatus(nothing, 80)).toBe(
      'control  does not run\ngateway  does not run\n\nStart it with: poolhouse up\n',
    );
  });

  it('says what to do when there is no pool', () => {
    expect(describeStatus(serving(), 80)).toBe(
      'control  serves (pid 7)  https://127.0.0.1:8943\ngateway  serves (pid 8)\n\nThere is no pool yet. A first one: poolhouse up --sample\n',
    );
  });

  it('tells where health and metrics are, and what is wrong with control', () => {
    const urls = (port: number) => ({
      healthUrl: `http://127.0.0.1:${port}/healthz`,
      metricsUrl: `http://127.0.0.1:${port}/metrics`,
    });
    const status = serving();
    Object.assign(status.control, urls(1), { reasons: ['The file system is full.'] });
    Object.assign(status.gateway, urls(2));
    expect(describeStatus(status, 80).split('\n').slice(2, 4)).toEqual([
      'health   http://127.0.0.1:1/healthz  http://127.0.0.1:2/healthz  (metrics: /metrics)',
      '! The file system is full.',
    ]);
  });

  it('tells of a process that hangs', () => {
    const hanging = { ...serving(), gateway: { healthy: false, pid: 8 } };
    expect(describeStatus(hanging, 80)).toContain('gateway  does not answer (pid 8)');
  });

  it('counts standby instances apart', () => {
    const standing = instance({
      instanceId: '1',
      name: 'team000001',
      standby: true,
      power: 'frozen',
      inRotation: false,
    });
    const words = describeStatus(serving(pool({ capacity: 1, instances: [instance({}), standing] })), 80);
    expect(words).toContain('team in group: 1 of 1 instances and 1 in standby, Succeeded');
    expect(words).toMatch(/team000001 .* standby, frozen/);
  });

  it('shows how a pool is reached, and its instances', () => {
    const words = describeStatus(
      serving(
        pool({
          capacity: 2,
          frontEnds: [
            { rule: 'ssh', protocol: 'tcp', address: '127.77.3.10', port: 22, backendPort: 22, instancesInRotation: 1 },
          ],
          instances: [instance({ sessions: 3 }), instance({ instanceId: '1', name: 'team000001', draining: true })],
          shares: [{ account: 'files', share: 'all', mountPoint: '/mnt/all' }],
        }),
      ),
      80,
    );
    expect(words.split('\n').slice(3)).toEqual([
      'team in group: 2 of 2 instances, Succeeded',
      '  FRONT END  ADDRESS         LEADS TO  IN ROTATION',
      '  ssh        127.77.3.10:22  port 22   1',
      '',
      '  ID  INSTANCE    ADDRESS     STATE        SESSIONS',
      '  0   team000000  10.231.0.5  in rotation  3',
      '  1   team000001  10.231.0.5  draining     0',
      '',
      '  SHARE      MOUNTED AT',
      '  files/all  /mnt/all',
      '',
    ]);
  });

  const states: [instance: Partial<Instance>, words: string][] = [
    [{}, 'in rotation'],
    [{ draining: true }, 'draining'],
    [{ standby: true, power: 'frozen' }, 'standby, frozen'],
    [{ inRotation: false, reason: 'the probe fails' }, 'not in rotation: the probe fails'],
    [{ inRotation: false }, 'running'],
    [{ inRotation: false, power: 'stopped', reason: 'it is stopped' }, 'stopped'],
  ];
  it.each(states)('says of an instance with %j: %s', (over, words) => {
    expect(describeStatus(serving(pool({ instances: [instance(over)] })), 80)).toContain(`  ${words}  `);
  });

  it('fits its terminal, whatever an instance says', () => {
    const reason = `the script failed:\n\u001b[2J${'and so on '.repeat(50)}`;
    const words = describeStatus(serving(pool({ instances: [instance({ inRotation: false, reason })] })), 80);
    expect(Math.max(...words.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
    expect(words).not.toContain('\u001b');
  });
});
