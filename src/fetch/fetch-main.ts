/**
 * The fetching helper: a process of its own without rights, because what it reads comes from strangers. One request as
 * JSON on standard input; the body on standard output; at the end one line of JSON on file descriptor 3.
 *
 * A name is looked up once, its address is checked, and that very address is connected to.
 */
import { lookup } from 'node:dns/promises';
import { writeSync } from 'node:fs';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { getCACertificates } from 'node:tls';
import { checkAddress, checkUrl, describeUrl, type FetchPolicy } from './policy.ts';

export interface FetchRequest {
  url: string;
  policy: FetchPolicy;
  maxBytes: number;
  connectMs: number;
  user?: string;
}

export type FetchEnd = { ok: true } | { ok: false; code: 'FetchNotAllowed' | 'FetchFailed'; message: string };

const mostRedirects = 5;

class Refusal extends Error {
  readonly code: 'FetchNotAllowed' | 'FetchFailed';
  constructor(code: 'FetchNotAllowed' | 'FetchFailed', message: string) {
    super(message);
    this.code = code;
  }
}

async function fetchTo(request: FetchRequest): Promise<void> {
  let address = request.url;
  for (let redirects = 0; ; redirects += 1) {
    const response = await open(address, request);
    const status = response.statusCode ?? 0;
    const { location } = response.headers;
    if ([301, 302, 303, 307, 308].includes(status) && location !== undefined) {
      response.destroy();
      if (redirects >= mostRedirects)
        throw new Refusal('FetchFailed', `${describeUrl(request.url)} redirects more than ${mostRedirects} times`);
      if (!URL.canParse(location, address))
        throw new Refusal('FetchFailed', `${describeUrl(address)} redirects to something that is not a URL`);
      address = new URL(location, address).href;
      continue;
    }
    if (status !== 200) throw new Refusal('FetchFailed', `${describeUrl(address)} answered with status ${status}`);
    await copy(response, address, request.maxBytes);
    return;
  }
}

async function open(address: string, request: FetchRequest): Promise<IncomingMessage> {
  const checked = checkUrl(address);
  if ('why' in checked) throw new Refusal('FetchNotAllowed', `${describeUrl(address)} is not fetched: ${checked.why}`);
  const { url, host, port } = checked;
  const found =
    isIP(host) === 0
      ? await lookup(host, { order: 'verbatim' }).catch(() => undefined)
      : { address: host, family: isIP(host) };
  if (found === undefined)
    throw new Refusal('FetchFailed', `the host name of ${describeUrl(address)} could not be found`);
  const verdict = checkAddress(found.address, host, port, request.policy);
  if (!verdict.allowed) throw new Refusal('FetchNotAllowed', `${describeUrl(address)} is not fetched: ${verdict.why}`);

  return new Promise((resolve, reject) => {
    const start = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const outgoing = start({
      host: found.address,
      family: found.family,
      port,
      path: `${url.pathname}${url.search}`,
      headers: {
        host: url.host,
        'user-agent': 'poolhouse',
        accept: '*/*',
        'accept-encoding': 'identity',
        connection: 'close',
      },
      ...(url.protocol === 'https:'
        ? {
            servername: isIP(host) === 0 ? host : '',
            ca: [...getCACertificates('default'), ...getCACertificates('system')],
          }
        : {}),
      agent: false,
    });
    const limit = setTimeout(
      () => outgoing.destroy(new Error(`no answer within ${request.connectMs / 1_000} s`)),
      request.connectMs,
    );
    outgoing.on('response', (response) => {
      clearTimeout(limit);
      resolve(response);
    });
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      clearTimeout(limit);
      reject(
        new Refusal('FetchFailed', `${describeUrl(address)} could not be reached: ${error.code ?? error.message}`),
      );
    });
    outgoing.end();
  });
}

async function copy(response: IncomingMessage, address: string, maxBytes: number): Promise<void> {
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes)
      throw new Refusal('FetchFailed', `${describeUrl(address)} is larger than ${Math.floor(maxBytes / 2 ** 20)} MB`);
    if (!process.stdout.write(chunk)) await new Promise((resolve) => process.stdout.once('drain', resolve));
  }
  if (!response.complete) throw new Refusal('FetchFailed', `${describeUrl(address)} ended in the middle`);
}

function dropRights(user: string | undefined): void {
  if (process.getuid?.() !== 0) return;
  const account = user ?? 'nobody';
  process.setgroups?.([]);
  process.setgid?.(account === 'nobody' ? 'nogroup' : account);
  process.setuid?.(account);
}

async function readRequest(): Promise<FetchRequest> {
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8') as AsyncIterable<string>) text += chunk;
  return JSON.parse(text) as FetchRequest; // written by our own process
}

function end(result: FetchEnd): void {
  process.stdout.end(() => {
    writeSync(3, JSON.stringify(result));
    process.exit(0);
  });
}

try {
  const request = await readRequest();
  dropRights(request.user);
  await fetchTo(request);
  end({ ok: true });
} catch (error) {
  end({
    ok: false,
    code: error instanceof Refusal ? error.code : 'FetchFailed',
    message: error instanceof Refusal ? error.message : 'the download failed',
  });
}
