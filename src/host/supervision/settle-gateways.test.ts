import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { createGatewayDoor, gatewaySocketName, type GatewayState } from '../../link/gateway-words.ts';
import { silentProgress } from '../progress.ts';
import { missingFrom, settleGateways, type GatewayRuns, type GatewayWord } from './settle-gateways.ts';

const state = (ports: number[], changes: Partial<GatewayState> = {}): GatewayState => ({
  ...{ serial: 1, pid: 2, phase: 'serving', ports, knowsHealth: true, connections: 0 },
  ...changes,
});

describe('whether new gateways can take over', () => {
  const cases: [
    what: string,
    ours: GatewayWord[],
    theirs: GatewayWord[],
    isPatient: boolean,
    missing: RegExp | undefined,
  ][] = [
    ['one that has all ports', [state([1, 2])], [state([2, 1])], false, undefined],
    ['one that has more', [state([1, 2, 3])], [state([2])], false, undefined],
    ['where there is nothing to serve', [state([])], [state([])], false, undefined],
    ['one that is not there yet', ['gone'], [state([1])], true, /does not answer/],
    ['one that does not answer', ['silent'], [state([1])], true, /does not answer/],
    ['one that ends again', [state([1], { phase: 'ended' })], [state([1])], true, /does not answer/],
    ['one that misses a port', [state([1])], [state([1, 2])], true, /port 2/],
    ['one of two that misses one', [state([1]), state([])], [state([1])], true, /port 1/],
    ['one that does not know who is healthy', [state([1], { knowsHealth: false })], [state([1])], false, /healthy/],
    ['the same, after a while', [state([1], { knowsHealth: false })], [state([1])], true, undefined],
    ['from one that is gone', [state([])], ['gone'], false, undefined],
    ['from one that is silent', [state([])], ['silent'], false, /does not say/],
    ['from one that is silent for long', [state([])], ['silent'], true, undefined],
    ['from one that leaves already', [state([])], [state([1], { phase: 'leaving' })], false, undefined],
  ];
  it.each(cases)('%s', (_what, ours, theirs, isPatient, missing) => {
    const found = missingFrom(ours, theirs, isPatient);
    if (missing === undefined) expect(found).toBeUndefined();
    else expect(found).toMatch(missing);
  });
});

describe('a hand-over', () => {
  /** A gateway of number 1 is there that has port 5. What is done with gateways is written down. */
  async function world(): Promise<{ folder: string; runs: GatewayRuns; done: string[] }> {
    const folder = await mkdtemp(join(tmpdir(), 'poolhouse-settle-'));
    const old = createGatewayDoor(() => state([5]));
    old.listen(join(folder, gatewaySocketName(1)));
    await once(old, 'listening');
    onTestFinished(async () => {
      old.close();
      await rm(folder, { recursive: true });
    });
    const done: string[] = [];
    const note = (what: string) => (serials: readonly number[]) => {
      if (serials.length > 0) done.push(`${what} ${serials.join(',')}`);
      return Promise.resolve();
    };
    const runs = {
      list: () => Promise.resolve([{ serial: 1, kept: true, pid: 2 ** 30, mark: 'old' }]), // no process has this number
      ...{ keep: note('keep'), release: note('release'), end: note('end') },
    };
    return { folder, runs, done };
  }
  const wanted = { mark: 'new', count: 1, anew: false };

  it('is given up where the new one does not serve: the old one goes on', async () => {
    const { folder, runs, done } = await world();
    const settled = settleGateways({ runs, wanted, folder, progress: silentProgress, takeOverMs: 200 });
    await expect(settled).rejects.toThrow(/cannot take over: it does not answer.*poolhouse logs gateway/);
    expect(done).toEqual(['keep 2', 'end 2']);
  });

  it('waits for every port that the old one has', async () => {
    const { folder, runs, done } = await world();
    const ports: number[] = [];
    const next = createGatewayDoor(() => {
      const now = state([...ports]);
      ports.push(5); // from the next question on
      done.push('asked');
      return now;
    });
    next.listen(join(folder, gatewaySocketName(2)));
    await once(next, 'listening');
    onTestFinished(() => void next.close());
    const settled = settleGateways({ runs, wanted, folder, progress: silentProgress });
    await expect.poll(() => done.slice(0, 4)).toEqual(['keep 2', 'asked', 'asked', 'release 1']);
    await rm(join(folder, gatewaySocketName(1))); // it has left
    await settled;
  });
});
