import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates } from 'node:tls';
import { promisify } from 'node:util';
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

/** A certificate of its own for a name, and a server that shows it. */
async function serveTls(name: string): Promise<{ port: number; certificate: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'poolhouse-download-'));
  try {
    const [key, cert] = [join(folder, 'key'), join(folder, 'cert')];
    const words = `req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=${name} -addext subjectAltName=DNS:${name}`;
    await promisify(execFile)('openssl', [...words.split(' '), '-keyout', key, '-out', cert]);
    const certificate = await readFile(cert, 'utf8');
    const server = createTlsServer({ key: await readFile(key), cert: certificate }, (request, response) =>
      response.end(`for ${request.headers.host}`),
    );
    servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.2', resolve));
    return { port: (server.address() as AddressInfo).port, certificate };
  } finally {
    await rm(folder, { recursive: true });
  }
}

describe('a download by https', () => {
  const usual = getCACertificates('default');
  afterEach(() => {
    setDefaultCACertificates(usual);
    for (const server of servers.splice(0)) server.close();
  });
  const from = (name: string, port: number) =>
    downloadWith(`https://${name}:${port}/`, { [name]: ['127.0.0.2'] }, [`127.0.0.2:${port}`]);

  it('connects to the address, and checks the certificate by the name', async () => {
    const { port, certificate } = await serveTls('right.example');
    setDefaultCACertificates([...usual, certificate]);
    expect((await from('right.example', port)).body).toBe(`for right.example:${port}`);
    await expect(from('wrong.example', port)).rejects.toMatchObject({
      code: 'FetchFailed',
      message: expect.stringContaining('ERR_TLS_CERT_ALTNAME_INVALID') as string,
    });
  });

  it('trusts nobody unknown', async () => {
    const { port } = await serveTls('right.example');
    await expect(from('right.example', port)).rejects.toThrow('DEPTH_ZERO_SELF_SIGNED_CERT');
  });
});

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
