/** Notifications to a real HTTP server, by way of the fetcher and its helper, and to a small SMTP server. */
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { JsonObject } from '../core/json.ts';
import { createFetcher } from '../fetch/fetcher.ts';
import { findActivities } from '../store/activity-log.ts';
import { openStore } from '../store/store.ts';
import type { ScaleNotification } from './notification.ts';
import { createSendMail } from './send-mail.ts';
import { createNotifications, type NotificationParts } from './send-notifications.ts';

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => sockets.add(socket.on('error', () => undefined)));
  closing.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port; // a TCP server has one
}

/** Answers POSTs with these statuses, the last of them for ever; keeps what was posted. */
async function httpServer(...statuses: number[]) {
  const posted: { url: string; body: string }[] = [];
  const port = await listen(
    createHttpServer((request, response) => {
      let body = '';
      request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      request.on('end', () => {
        posted.push({ url: request.url ?? '', body });
        response.writeHead((statuses.length > 1 ? statuses.shift() : statuses[0]) ?? 200).end();
      });
    }),
  );
  return { host: `127.0.0.1:${port}`, posted };
}

/** Takes every message; keeps what was said. One that is `silent` takes connections and says nothing. */
async function smtpServer(silent = false) {
  const said: string[] = [];
  const connections = { open: 0, all: 0 };
  const port = await listen(
    createServer((socket) => {
      connections.open += 1;
      connections.all += 1;
      socket.on('close', () => (connections.open -= 1));
      if (silent) return;
      let isMessage = false;
      let rest = '';
      socket.write('220 here\r\n');
      socket.setEncoding('utf8').on('data', (chunk: string) => {
        const lines = (rest + chunk).split('\r\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          said.push(line);
          if (isMessage && line !== '.') continue;
          const isEnd = isMessage;
          isMessage = line === 'DATA';
          if (line.startsWith('EHLO')) socket.write('250-here\r\n250 AUTH PLAIN\r\n');
          else if (line.startsWith('AUTH')) socket.write('235 welcome\r\n');
          else if (line === 'STARTTLS') socket.write('454 there is none\r\n');
          else if (isMessage) socket.write('354 go on\r\n');
          else if (line === 'QUIT') socket.end('221 bye\r\n');
          else socket.write(isEnd ? '250 taken\r\n' : '250 well\r\n');
        }
      });
    }),
  );
  return { port, said, connections };
}

async function prepare(parts: Partial<NotificationParts> & { fetchAllow?: string[] } = {}) {
  const store = await openStore(':memory:');
  const stopping = new AbortController();
  const slept: number[] = [];
  const lines: string[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => lines.push(line) });
  const fetcher = createFetcher({
    policy: { mirrors: {}, fetchAllow: parts.fetchAllow ?? [], forbidden: [] },
    log,
  });
  const notifications = createNotifications({
    ...{ store, post: (url, options) => fetcher.post(url, options), sendMail: undefined, log, newId: () => 'event' },
    clock: {
      now: () => 5,
      sleep: (ms) => {
        slept.push(ms);
        return Promise.resolve();
      },
    },
    signal: stopping.signal,
    ...parts,
  });
  const tell = (...told: JsonObject[]) => {
    const event: ScaleNotification = {
      ...{ operation: 'Scale In', settingId: '/settings/a', settingName: 'a', at: 0, oldCapacity: 3, newCapacity: 2 },
      ...{ resourceId: '/subscriptions/S/resourceGroups/g/providers/M.C/sets/pool', details: 'Nobody is there.' },
      notifications: told,
    };
    notifications.notify(event);
  };
  const activities = async () =>
    (await findActivities(store.db, {})).map(({ resourceId, status, message }) => ({ resourceId, status, message }));
  return { notifications, tell, slept, lines, activities, stopping };
}

const webhook = (host: string) => ({
  webhooks: [{ serviceUri: `http://${host}/hook/secret?token=geheim`, properties: {} }],
});
const mailTo = (...customEmails: string[]) => ({ email: { customEmails } });

describe('a notification by webhook', () => {
  it('is posted, and no log shows the secret in its address', async () => {
    const { host, posted } = await httpServer(200);
    const { notifications, tell, lines, activities } = await prepare({ fetchAllow: [host] });
    tell(webhook(host));
    await notifications.idle();
    expect(posted).toEqual([
      { url: '/hook/secret?token=geheim', body: expect.stringContaining('"operation":"Scale In"') as unknown },
    ]);
    expect(await activities()).toEqual([]);
    expect(lines.join('')).not.toMatch(/secret|geheim/);
  });

  it('is tried three times', async () => {
    const { host, posted } = await httpServer(503, 500, 200);
    const { notifications, tell, slept, activities } = await prepare({ fetchAllow: [host] });
    tell(webhook(host));
    await notifications.idle();
    expect(posted).toHaveLength(3);
    expect(slept).toEqual([5_000, 30_000]);
    expect(await activities()).toEqual([]);
  });

  it('that cannot be delivered is told in the log and in the activity log, without its secret', async () => {
    const { host, posted } = await httpServer(500);
    const { notifications, tell, lines, activities } = await prepare({ fetchAllow: [host] });
    tell(webhook(host));
    await notifications.idle();
    expect(posted).toHaveLength(3);
    const message = `A notification could not be delivered by webhook to 'http://${host}/…': 'http://${host}/…' answered with status 500.`;
    expect(await activities()).toEqual([{ resourceId: '/settings/a', status: 'Failed', message }]);
    expect(lines.join('')).toContain('could not be delivered');
    expect(lines.join('')).not.toMatch(/secret|geheim/);
  });

  it('to an inner address is not sent, and not tried again', async () => {
    const { host, posted } = await httpServer(200);
    const { notifications, tell, slept, activities } = await prepare();
    tell(webhook(host));
    await notifications.idle();
    expect(posted).toEqual([]);
    expect(slept).toEqual([]);
    expect((await activities())[0]?.message).toMatch(/is an inner address.*fetchAllow/);
  });
});

describe('a notification by e-mail', () => {
  it('goes through the configured server, with the password from its file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'poolhouse-mail-'));
    closing.push(() => {
      rmSync(folder, { recursive: true });
    });
    writeFileSync(join(folder, 'password'), 'open sesame\n');
    const { port, said } = await smtpServer();
    const sendMail = createSendMail({
      ...{ host: '127.0.0.1', port, secure: false, user: 'pool', passwordFile: join(folder, 'password') },
      from: 'Poolhouse <pool@x.example>',
    });
    const { notifications, tell, lines, activities } = await prepare({ sendMail });
    tell(mailTo('a@x.example', 'b@x.example'));
    await notifications.idle();
    expect(await activities()).toEqual([]);
    expect(said).toEqual(
      expect.arrayContaining([
        `AUTH PLAIN ${Buffer.from('\0pool\0open sesame').toString('base64')}`,
        'RCPT TO:<a@x.example>',
        'RCPT TO:<b@x.example>',
        'From: Poolhouse <pool@x.example>',
        'Subject: Scale In: pool from 3 to 2',
        'Nobody is there.',
      ]),
    );
    expect(lines.join('')).not.toContain('sesame');
  });

  it('has a limit for each try, and leaves no connection open', async () => {
    const { port, connections } = await smtpServer(true);
    const sendMail = createSendMail({ host: '127.0.0.1', port, secure: false, from: 'pool@x.example' });
    const { notifications, tell, activities } = await prepare({ sendMail, limitMs: 50 });
    tell(mailTo('a@x.example'));
    await notifications.idle();
    expect(connections.all).toBe(3);
    await vi.waitUntil(() => connections.open === 0);
    expect((await activities())[0]?.message).toMatch(/The SMTP server did not take it within/);
  });

  it.each([
    ['no server is configured', undefined, ['a@x.example'], /No SMTP server is configured/],
    [
      'an address is none',
      { host: '127.0.0.1', port: 1 },
      ['a@x.example>\r\nRCPT TO:<b@y'],
      /is not an e-mail address/,
    ],
    [
      'the password cannot be read',
      { host: '127.0.0.1', port: 1, user: 'a', passwordFile: '/nowhere' },
      ['a@x.example'],
      /\/nowhere/,
    ],
  ])('is not tried again where %s', async (_what, smtp, to, expected) => {
    const sendMail =
      smtp === undefined ? undefined : createSendMail({ secure: false, from: 'pool@x.example', ...smtp });
    const { notifications, tell, slept, activities } = await prepare({ sendMail });
    tell(mailTo(...to));
    await notifications.idle();
    expect(slept).toEqual([]);
    expect((await activities())[0]?.message).toMatch(expected);
  });

  it('sends no password in the clear to another machine', async () => {
    const { port, said } = await smtpServer();
    const folder = mkdtempSync(join(tmpdir(), 'poolhouse-mail-'));
    closing.push(() => {
      rmSync(folder, { recursive: true });
    });
    writeFileSync(join(folder, 'password'), 'open sesame');
    // The same machine by a name of it that does not look so.
    const smtp = { host: '0x7f.1', port, secure: false, user: 'a', passwordFile: join(folder, 'password') };
    const { notifications, tell, activities } = await prepare({
      sendMail: createSendMail({ ...smtp, from: 'p@x.example' }),
    });
    tell(mailTo('a@x.example'));
    await notifications.idle();
    expect(said.join()).not.toContain('AUTH');
    expect(await activities()).toHaveLength(1);
  });
});

describe('notifications', () => {
  it('never wait for each other longer than a few, and are given up at the end of control', async () => {
    const asked: string[] = [];
    const post: NotificationParts['post'] = (url, { signal }) => {
      asked.push(url);
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          reject(new Error('stopped'));
        });
      });
    };
    const { notifications, tell, lines, activities, stopping } = await prepare({ post });
    for (let count = 0; count < 200; count += 1) tell(webhook('a.example'));
    expect(asked).toHaveLength(4);
    expect(lines.filter((line) => line.includes('others wait already'))).toHaveLength(96);
    stopping.abort();
    await notifications.idle();
    expect(asked).toHaveLength(4);
    expect(await activities()).toEqual([]);
  });

  it('that wait follow when others are done', async () => {
    const asked: string[] = [];
    const post: NotificationParts['post'] = (url) => {
      asked.push(url);
      return Promise.resolve();
    };
    const { notifications, tell } = await prepare({ post });
    for (let count = 0; count < 20; count += 1) tell(webhook('a.example'));
    await notifications.idle();
    expect(asked).toHaveLength(20);
  });
});
