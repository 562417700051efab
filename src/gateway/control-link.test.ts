import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../core/system-clock.ts';
import type { EndedSignIn } from '../link/ended-sign-ins.ts';
import type { OrderList } from '../link/orders.ts';
import type { RoutingTable } from '../link/routes.ts';
import { createControlLink } from './control-link.ts';
import type { LinkAnswer, LinkClient } from './link-request.ts';
import { silentLog, until } from './test-support.ts';

let stop = new AbortController();
afterEach(() => {
  stop.abort();
  stop = new AbortController();
});

/** A control that answers as told, and never by itself: an answer of `undefined` waits until the test is over. */
function fakeControl(
  answer: (method: string, path: string) => LinkAnswer | Error | undefined,
): LinkClient & { asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    close: () => undefined,
    send(method, path, { signal }) {
      const isOther = /^\/v1\/(directory|orders)/.test(path);
      if (!isOther) asked.push(`${method} ${path}`);
      const result = isOther ? undefined : answer(method, path);
      if (result instanceof Error) return Promise.reject(result);
      if (result !== undefined) return Promise.resolve(result);
      return new Promise((_, reject) => {
        signal.addEventListener('abort', () => {
          reject(new Error('aborted'));
        });
      });
    },
  };
}

const report = () => ({
  gateway: 'g',
  pid: 1,
  phase: 'serving' as const,
  startedAt: 0,
  revision: 0,
  probes: [],
  connections: [],
  sessions: [],
  failures: [],
});

describe('the control link', () => {
  it('asks for the table first, then for what comes after it', async () => {
    const tables: RoutingTable[] = [];
    const client = fakeControl((method, path) => {
      if (method === 'POST') return undefined;
      if (path === '/v1/routes') return { status: 200, body: { revision: 7, routes: [] } };
      return tables.length === 1 ? { status: 200, body: { revision: 3, routes: [] } } : undefined;
    });
    void createControlLink({
      client,
      clock: systemClock,
      log: silentLog,
      onTable: (table) => tables.push(table),
      onDirectory: () => undefined,
      onOrders: () => undefined,
      report,
    }).run(stop.signal);
    await until('two tables came', () => tables.length === 2);
    await until('it waits for the third', () => client.asked.includes('GET /v1/routes?after=3'));
    expect(client.asked.filter((line) => line.startsWith('GET'))).toEqual([
      'GET /v1/routes',
      'GET /v1/routes?after=7',
      'GET /v1/routes?after=3',
    ]);
  });

  it('takes the directory of people, and waits for the next', async () => {
    const revisions: string[] = [];
    const people = { users: [], hostKeys: [], userAuthority: '', userAuthorities: [], instanceKeys: {} };
    const asked: string[] = [];
    const client = fakeControl(() => undefined);
    void createControlLink({
      client: {
        ...client,
        send(method, path, options) {
          asked.push(path);
          if (path === '/v1/directory') return Promise.resolve({ status: 200, body: { revision: 'a/b', ...people } });
          return client.send(method, path, options);
        },
      },
      clock: systemClock,
      log: silentLog,
      onTable: () => undefined,
      onDirectory: ({ revision }) => revisions.push(revision),
      onOrders: () => undefined,
      report,
    }).run(stop.signal);
    await until('it waits for the next', () => asked.includes('/v1/directory?after=a%2Fb'));
    expect(revisions).toEqual(['a/b']);
  });

  it('takes orders about sessions, and waits for the next', async () => {
    const taken: OrderList[] = [];
    const asked: string[] = [];
    const client = fakeControl(() => undefined);
    const list = { revision: 'run-1', orders: [{ id: 'a', session: 's', message: 'hello' }] };
    void createControlLink({
      client: {
        ...client,
        send(method, path, options) {
          asked.push(path);
          if (path === '/v1/orders') return Promise.resolve({ status: 200, body: list });
          return client.send(method, path, options);
        },
      },
      clock: systemClock,
      log: silentLog,
      onTable: () => undefined,
      onDirectory: () => undefined,
      onOrders: (orders) => taken.push(orders),
      report,
    }).run(stop.signal);
    await until('it waits for the next', () => asked.includes('/v1/orders?after=run-1'));
    expect(taken).toEqual([list]);
  });

  it('joins many changes into few reports, and tells the last', async () => {
    let state = 0;
    let told = -1;
    const client = fakeControl((method) => {
      if (method === 'GET') return undefined;
      told = state;
      return { status: 204, body: undefined };
    });
    const options = {
      client,
      clock: systemClock,
      log: silentLog,
      onTable: () => undefined,
      onDirectory: () => undefined,
      onOrders: () => undefined,
      report,
      reportGapMs: 200,
      reportEveryMs: 60_000,
    };
    const link = createControlLink(options);
    void link.run(stop.signal);
    await until('the first report', () => told === 0);
    for (let index = 1; index <= 1000; index++) {
      state = index;
      link.changed();
    }
    await until('the last change is told', () => told === 1000);
    expect(client.asked.filter((line) => line.startsWith('POST'))).toHaveLength(2);
  });

  it('reports without a change after a while', async () => {
    const client = fakeControl((method) => (method === 'GET' ? undefined : { status: 204, body: undefined }));
    const options = {
      client,
      clock: systemClock,
      log: silentLog,
      onTable: () => undefined,
      onDirectory: () => undefined,
      onOrders: () => undefined,
      report,
      reportGapMs: 1,
      reportEveryMs: 10,
    };
    void createControlLink(options).run(stop.signal);
    await until('five reports', () => client.asked.filter((line) => line.startsWith('POST')).length >= 5);
  });

  it.each([
    ['control is away', new Error('ECONNREFUSED')],
    ['control answers with an error', { status: 500, body: undefined }],
    ['control answers with another document', { status: 200, body: { routes: 'none' } }],
  ])('tries again with growing delays when %s', async (_, answer) => {
    let good = false;
    const tables: RoutingTable[] = [];
    const client = fakeControl((method) => {
      if (method === 'POST') return undefined;
      return good ? { status: 200, body: { revision: 1, routes: [] } } : answer;
    });
    const options = {
      client,
      clock: systemClock,
      log: silentLog,
      onTable: (table: RoutingTable) => (good = tables.push(table) < 1),
      onDirectory: () => undefined,
      onOrders: () => undefined,
      report,
    };
    void createControlLink({ ...options, retryMs: 5, maxRetryMs: 20 }).run(stop.signal);
    await until('it tried four times', () => client.asked.filter((line) => line.startsWith('GET')).length >= 4);
    good = true;
    await until('the table came', () => tables.length === 1);
  });

  describe('tells which sign-ins have ended', () => {
    const ended = (id: string): EndedSignIn => ({
      ...{ pool: 'p', user: 'ada', id, issued: Date.now(), expires: Date.now() + 60_000 },
    });
    /** A control that answers this; every batch that it was sent, by ids. */
    function prepare(answer: () => number | Error) {
      const sent: string[][] = [];
      const quiet = fakeControl(() => undefined);
      const client: LinkClient = {
        close: () => undefined,
        send(method, path, options) {
          if (path !== '/v1/ended-sign-ins') return quiet.send(method, path, options);
          sent.push((options.body as { ended: EndedSignIn[] }).ended.map(({ id }) => String(id)));
          const said = answer();
          return said instanceof Error ? Promise.reject(said) : Promise.resolve({ status: said, body: undefined });
        },
      };
      const options = { client, clock: systemClock, log: silentLog, report, retryMs: 1, maxRetryMs: 5 };
      const none = { onTable: () => undefined, onDirectory: () => undefined, onOrders: () => undefined };
      return { sent, link: createControlLink({ ...options, ...none }) };
    }

    it('each once, and those of before it began', async () => {
      const { sent, link } = prepare(() => 204);
      link.signInEnded(ended('a'));
      void link.run(stop.signal);
      await until('the first is told', () => sent.length === 1);
      link.signInEnded(ended('b'));
      await until('the second is told', () => sent.length === 2);
      expect(sent).toEqual([['a'], ['b']]);
    });

    it.each([
      ['is away', new Error('ECONNREFUSED')],
      ['cannot keep them', 500],
      ['is an older one', 404],
    ])('again while control %s, with all that come meanwhile', async (_, failure) => {
      let answer: number | Error = failure;
      const { sent, link } = prepare(() => answer);
      void link.run(stop.signal);
      link.signInEnded(ended('a'));
      await until('it was tried three times', () => sent.length >= 3);
      link.signInEnded(ended('b'));
      answer = 204;
      await until('both are told', () => sent.at(-1)?.length === 2);
      const tries = sent.length;
      link.signInEnded(ended('c'));
      await until('only the third is told then', () => sent.length > tries);
      expect(sent.at(-1)).toEqual(['c']);
    });

    it('and gives up those that control does not understand', async () => {
      let answer = 400;
      const { sent, link } = prepare(() => answer);
      void link.run(stop.signal);
      link.signInEnded(ended('a'));
      await until('it was tried', () => sent.length === 1);
      answer = 204;
      link.signInEnded(ended('b'));
      await until('the next is told', () => sent.length === 2);
      expect(sent).toEqual([['a'], ['b']]);
    });

    it('in pieces, and once more before it stops', async () => {
      const { sent, link } = prepare(() => 204);
      for (let user = 0; user < 501; user += 1) link.signInEnded({ ...ended('a'), user: `user-${String(user)}` });
      void link.run(stop.signal);
      await until('all are told', () => sent.length === 2);
      expect(sent.map((batch) => batch.length)).toEqual([500, 1]);
      const other = prepare(() => (stop.signal.aborted ? 204 : new Error('away')));
      const run = other.link.run(stop.signal);
      other.link.signInEnded(ended('late'));
      await until('it was tried', () => other.sent.length > 0);
      stop.abort();
      await run;
      expect(other.sent.at(-1)).toEqual(['late']);
    });
  });

  it('knows whether control answers, since when not, and why', async () => {
    let isThere = true;
    const client = fakeControl((method, path) => {
      if (!isThere) return new Error('nobody listens');
      if (method === 'POST') return { status: 204, body: undefined };
      return path === '/v1/routes' ? { status: 200, body: { revision: 1, routes: [] } } : undefined;
    });
    const clock = { ...systemClock, now: () => 7_000 };
    const options = {
      client,
      clock,
      log: silentLog,
      onTable: () => undefined,
      onDirectory: () => undefined,
      onOrders: () => undefined,
      report,
      reportGapMs: 1,
      reportEveryMs: 5,
    };
    const link = createControlLink({ ...options, retryMs: 5, maxRetryMs: 5 });
    expect(link.contact()).toEqual({ up: false, answeredAt: undefined, failure: undefined });
    void link.run(stop.signal);
    await until('it answers', () => link.contact().up);
    expect(link.contact()).toEqual({ up: true, answeredAt: 7_000, failure: undefined });
    isThere = false;
    await until('it is away', () => !link.contact().up);
    expect(link.contact()).toEqual({ up: false, answeredAt: 7_000, failure: 'nobody listens' });
    isThere = true;
    await until('it is back', () => link.contact().up);
  });
});
