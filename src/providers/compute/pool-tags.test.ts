import { describe, expect, it } from 'vitest';
import type { Json } from '../../core/json.ts';
import { readPoolTags } from './pool-tags.ts';

const minute = 60_000;

describe('the settings of a pool', () => {
  it('are Azure’s where no tag says otherwise', () => {
    expect(readPoolTags({})).toEqual({
      placement: { prefer: 'fewest-users' },
      signIn: 'gateway',
      standby: { count: 0, as: 'stopped' },
      mayWake: true,
      wokenMilliseconds: 30 * minute,
      idleMilliseconds: 120 * minute,
      rescueBytes: 2 ** 30,
      keepHours: 24,
      drainMilliseconds: 30 * minute,
      scriptMilliseconds: 90 * minute,
      isolation: 'share',
      survives: 'notebooks',
    });
  });

  it('are read from tags, in any case', () => {
    expect(
      readPoolTags({ tags: { 'Poolhouse-Drain-Minutes': '0', 'poolhouse-script-minutes': '0.5', other: 'x' } }),
    ).toMatchObject({ drainMilliseconds: 0, scriptMilliseconds: minute / 2 });
    expect(readPoolTags({ tags: { 'poolhouse-keep-hours': '0' } }).keepHours).toBe(0);
    expect(readPoolTags({ tags: { 'poolhouse-idle-minutes': '5' } }).idleMilliseconds).toBe(5 * minute);
    expect(readPoolTags({ tags: { 'poolhouse-idle-minutes': 'off' } }).idleMilliseconds).toBeUndefined();
    expect(readPoolTags({ tags: { 'poolhouse-rescue-mib': '0' } }).rescueBytes).toBe(0);
    const tags = { 'poolhouse-placement': 'most-users', 'poolhouse-users-per-instance': '4', 'poolhouse-wake': 'off' };
    expect(readPoolTags({ tags })).toMatchObject({
      placement: { prefer: 'most-users', usersPerInstance: 4, sessionsPerUser: undefined },
      mayWake: false,
    });
  });

  it.each<[string, Json]>([
    ['poolhouse-drain-minutes', 'soon'],
    ['poolhouse-drain-minutes', '-1'],
    ['poolhouse-drain-minutes', '1441'],
    ['poolhouse-script-minutes', '0'],
    ['poolhouse-script-minutes', ''],
    ['poolhouse-script-minutes', '1e3'],
    ['poolhouse-idle-minutes', '0'],
    ['poolhouse-idle-minutes', '1441'],
    ['poolhouse-idle-minutes', 'never'],
    ['poolhouse-rescue-mib', '1.5'],
    ['poolhouse-keep-hours', '721'],
    ['poolhouse-keep-hours', '1.5'],
    ['poolhouse-placement', 'random'],
    ['poolhouse-wake', 'maybe'],
    ['poolhouse-signin', 'ldap'],
    ['poolhouse-users-per-instance', '0'],
    ['poolhouse-sessions-per-user', 'many'],
  ])('are refused by name: %s %j', (name, value) => {
    expect(() => readPoolTags({ tags: { [name]: value } })).toThrow(
      expect.objectContaining({
        code: 'InvalidParameter',
        target: `tags.${name}`,
        message: expect.stringContaining(name) as string,
      }) as Error,
    );
  });
});
