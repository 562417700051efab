import { describe, expect, it } from 'vitest';
import type { Route } from '../link/routes.ts';
import { diffRoutes, instancesOf } from './diff-routes.ts';

function route(id: string, changes: Partial<Route> = {}): Route {
  return {
    protocol: 'tcp',
    id,
    listenPort: 40001,
    publicAddress: '127.77.0.10',
    publicPort: 22,
    distribution: 'Default',
    idleTimeoutSeconds: 240,
    probe: null,
    backends: [{ instance: 'i-0', address: '10.0.0.4', port: 22, accepting: true }],
    ...changes,
  };
}

describe('diffRoutes', () => {
  const a = route('a');
  const b = route('b', { listenPort: 40002 });
  const more = [...a.backends, { instance: 'i-1', address: '10.0.0.5', port: 22, accepting: true }];
  const cases: { name: string; before: Route[]; after: Route[]; close: string[]; open: string[]; update: string[] }[] =
    [
      { name: 'nothing to nothing', before: [], after: [], close: [], open: [], update: [] },
      {
        name: 'the same in another order',
        before: [a, b],
        after: [route('b', { listenPort: 40002 }), route('a')],
        close: [],
        open: [],
        update: [],
      },
      { name: 'a new route', before: [a], after: [a, b], close: [], open: ['b'], update: [] },
      { name: 'a removed route', before: [a, b], after: [b], close: ['a'], open: [], update: [] },
      {
        name: 'a joining back end keeps the listener',
        before: [a],
        after: [route('a', { backends: more })],
        close: [],
        open: [],
        update: ['a'],
      },
      {
        name: 'another distribution keeps the listener',
        before: [a],
        after: [route('a', { distribution: 'SourceIP' })],
        close: [],
        open: [],
        update: ['a'],
      },
      {
        name: 'another public port keeps the listener',
        before: [a],
        after: [route('a', { publicPort: 2222 })],
        close: [],
        open: [],
        update: ['a'],
      },
      {
        name: 'another inner port moves the listener',
        before: [a],
        after: [route('a', { listenPort: 40009 })],
        close: ['a'],
        open: ['a'],
        update: [],
      },
      {
        name: 'two routes that swap their inner ports are both closed before they open',
        before: [a, b],
        after: [route('a', { listenPort: 40002 }), route('b', { listenPort: 40001 })],
        close: ['a', 'b'],
        open: ['a', 'b'],
        update: [],
      },
    ];
  it.each(cases)('$name', ({ before, after, close, open, update }) => {
    const changes = diffRoutes(before, after);
    expect(changes.close.map(({ id }) => id)).toEqual(close);
    expect(changes.open.map(({ id }) => id)).toEqual(open);
    expect(changes.update.map(({ id }) => id)).toEqual(update);
  });

  it('opens and updates with the new particulars', () => {
    const moved = route('a', { listenPort: 40009 });
    expect(diffRoutes([a], [moved])).toEqual({ close: [a], open: [moved], update: [] });
  });

  it('names each instance once', () => {
    expect(instancesOf([route('a', { backends: more }), b])).toEqual(new Set(['i-0', 'i-1']));
  });
});
