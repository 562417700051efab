import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import type { ClientConnection, ForwardChannel, ServerConnection } from './ssh-types.ts';
import { connectWithSessions, exec, must } from './test-support.ts';

const open = (ask: (opened: (error: Error | undefined, channel: ForwardChannel) => void) => unknown) =>
  new Promise<ForwardChannel>((resolve, reject) => {
    ask((error, channel) => (error === undefined ? resolve(channel) : reject(error)));
  });

/** An instance whose program asked for the agent and for X11, and a person who offered both. */
async function withOffers(listen: (client: ClientConnection) => void): Promise<ServerConnection> {
  const { client, server } = await connectWithSessions((session) => {
    session.on('auth-agent', (accept) => accept?.());
    session.on('x11', (accept) => accept?.());
    session.on('exec', (accept) => {
      accept();
    });
  });
  listen(client);
  const x11 = { single: false, protocol: 'MIT-MAGIC-COOKIE-1', cookie: 'c0ffee', screen: 1 };
  await exec(client, 'x', { agentForward: true, x11 });
  return server;
}

async function echo(through: Duplex): Promise<string> {
  through.end('ask');
  return String((await once(through, 'data'))[0]);
}

describe('from the server to the client', () => {
  it('leads to the agent that the client offered', async () => {
    const server = await withOffers((client) => {
      client.on('auth agent', (accept) => {
        const channel = must(accept());
        channel.pipe(channel);
      });
    });
    expect(await echo(await open((opened) => server.openssh_authAgent(opened)))).toBe('ask');
  });

  it('may be refused, at once or later', async () => {
    const server = await withOffers((client) => {
      client.on('auth agent', (_accept, reject) => setImmediate(reject));
      client.on('x11', (_info, _accept, reject) => reject());
    });
    await expect(open((opened) => server.openssh_authAgent(opened))).rejects.toThrow(/open failure/);
    await expect(open((opened) => server.x11('10.0.0.1', 6000, opened))).rejects.toThrow(/open failure/);
  });

  it('does not reach an agent that was not offered', async () => {
    const { server, client } = await connectWithSessions(() => undefined);
    client.on('auth agent', (accept) => {
      accept();
    });
    await expect(open((opened) => server.openssh_authAgent(opened))).rejects.toThrow(/open failure/);
  });

  it('leads to the display, and tells who opened it', async () => {
    const origins: unknown[] = [];
    const server = await withOffers((client) => {
      client.on('auth agent', () => undefined);
      client.on('x11', (info, accept) => {
        origins.push(info);
        const channel = must(accept());
        channel.pipe(channel);
      });
    });
    expect(await echo(await open((opened) => server.x11('10.0.0.1', 6010, opened)))).toBe('ask');
    expect(origins).toEqual([{ srcIP: '10.0.0.1', srcPort: 6010 }]);
  });
});

it('a session for a subsystem may have a forwarded agent, an environment and a terminal too', async () => {
  const heard: string[] = [];
  const { client } = await connectWithSessions((session) => {
    session.on('auth-agent', (accept) => {
      heard.push('agent');
      accept?.();
    });
    session.on('env', (_accept, _reject, info) => heard.push(info.key));
    session.on('pty', (accept) => {
      heard.push('pty');
      accept?.();
    });
    session.on('subsystem', (accept, _reject, info) => {
      heard.push(info.name);
      accept();
    });
  });
  client.on('auth agent', () => undefined);
  const pty = { term: 'dumb', modes: Buffer.of(0), cols: 1, rows: 1, width: 0, height: 0 };
  await new Promise((resolve) => client.subsys('sftp', { agentForward: true, env: [['LANG', 'C']], pty }, resolve));
  expect(heard.toSorted()).toEqual(['LANG', 'agent', 'pty', 'sftp']);
});
