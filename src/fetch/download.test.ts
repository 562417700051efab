import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { download } from './download.ts';

const servers: Server[] = [];

/** A server on one of this machine's loopback addresses, on the port of the first one. */
async function serve(address: string, listener: RequestListener): Promise<number> {
  const server = createServer(listener);
  const first = servers[0]?.address() as AddressInfo | undefined; // a TCP server has one
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(first?.port ?? 0, address, resolve));
  return (server.address() as AddressInfo).port;
}

/** Downloads with names that only `names` knows: each look-up takes the next address of its name. */
async function downloadWith(url: string, names: Record<string, string[]>, fetchAllow: string[]) {
  const body: Uint8Array[] = [];
  const looked: string[] = [];
  await download(
    { url, policy: { mirrors: {}, fetchAllow, forbidden: [] }, maxBytes: 1_000, connectMs: 10_000 },
    {
      lookup: (host) => {
        looked.push(host);
        const address = names[host]?.shift();
        return address === undefined ? Promise.reject(new Error('unknown')) : Promise.resolve({ address, family: 4 });
      },
      write: (chunk) => {
        body.push(chunk);
        return Promise.resolve();
      },
    },
  );
  return { body: Buffer.concat(body).toString(), looked };
}

describe('a download', () => {
  afterEach(() => {
    for (const server of servers.splice(0)) server.close();
  });

  it('connects to the very address it checked, and looks a name up once', async () => {
    const port = await serve('127.0.0.2', (request, response) => response.end(`checked, for ${request.headers.host}`));
    await serve('127.0.0.3', (_request, response) => response.end('the second answer'));
    const names = { 'changing.example': ['127.0.0.2', '127.0.0.3'] };
    const result = await downloadWith(`http://changing.example:${port}/`, names, [`127.0.0.2:${port}`]);
    expect(result).toEqual({ body: `checked, for changing.example:${port}`, looked: ['changing.example'] });
  });

  it('checks the address anew when a redirect leads to the same name', async () => {
    let requests = 0;
    const port = await serve('127.0.0.2', (_request, response) => {
      response.writeHead(302, { location: '/again' }).end();
    });
    await serve('127.0.0.3', (_request, response) => {
      requests += 1;
      response.end();
    });
    const names = { 'changing.example': ['127.0.0.2', '127.0.0.3'] };
    await expect(downloadWith(`http://changing.example:${port}/`, names, [`127.0.0.2:${port}`])).rejects.toMatchObject({
      code: 'FetchNotAllowed',
      message: expect.stringContaining('127.0.0.3 is an inner address') as string,
    });
    expect(requests).toBe(0);
  });

  it('says which name could not be found', async () => {
    await expect(downloadWith('http://nowhere.example/a?sig=secret', {}, [])).rejects.toMatchObject({
      code: 'FetchFailed',
      message: `the host name of 'http://nowhere.example/a' could not be found`,
    });
  });
});
