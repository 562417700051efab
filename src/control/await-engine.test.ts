import { pino } from 'pino';
import { describe, expect, it } from 'vitest';
import { PoolhouseError } from '../core/errors.ts';
import { awaitEngine } from './await-engine.ts';

const parts = () => ({
  clock: { now: () => 0, sleep: () => Promise.resolve() },
  log: pino({ level: 'silent' }),
  signal: new AbortController().signal,
});
const away = () => new PoolhouseError('EngineUnavailable', 'it does not answer', { retryable: true });

describe('the start of control', () => {
  it('waits for an engine that does not answer yet', async () => {
    let asked = 0;
    const prepare = () => ((asked += 1) < 4 ? Promise.reject(away()) : Promise.resolve());
    await awaitEngine({ prepare }, parts());
    expect(asked).toBe(4);
  });

  it('fails at once for every other reason', async () => {
    const prepare = () => Promise.reject(new PoolhouseError('HostNotReady', 'no network is free'));
    await expect(awaitEngine({ prepare }, parts())).rejects.toThrow('no network is free');
  });
});
