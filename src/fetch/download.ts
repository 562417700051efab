/**
 * One download over the network: each address is looked up once, checked, and that very address is connected to; every
 * redirect is checked again. By the same rules something is posted; a redirect of that is not followed. Runs in the helper process (`fetch-main.ts`), which has no rights.
 *
 * What comes is passed on as it is: nothing is unpacked, so nothing can grow.
 */
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { isIP } from 'node:net';
import { getCACertificates } from 'node:tls';
import { checkAddress, checkUrl, describeOrigin, describeSize, describeUrl, type FetchPolicy } from './policy.ts';

export interface DownloadRequest {
  url: string;
  policy: FetchPolicy;
  maxBytes: number;
  /** How long a server may take until its answer begins. */
  connectMs: number;
  /** Sent to the server, whose answer counts by its status only; nothing is downloaded. */
  post?: { contentType: string; body: string };
}

export interface DownloadParts {
  /** The address of a name; fails where there is none. */
  lookup(host: string): Promise<{ address: string; family: number }>;
  /** Takes a part of the body; the next one is read when it is done. */
  write(chunk: Uint8Array): Promise<void>;
}

const mostRedirects = 5;

export class Refusal extends Error {
  readonly code: 'FetchNotAllowed' | 'FetchFailed';
  constructor(code: 'FetchNotAllowed' | 'FetchFailed', message: string) {
    super(message);
    this.code = code;
  }
}

/** An address for messages. */
const describerOf = ({ post }: DownloadRequest) => (post === undefined ? describeUrl : describeOrigin);

/** Fails with a `Refusal` whose message holds nothing of the body, and of a post nothing of the path. */
export async function download(request: DownloadRequest, parts: DownloadParts): Promise<void> {
  if (request.post === undefined) await get(request, parts);
  else await post(request, parts);
}

async function post(request: DownloadRequest, parts: DownloadParts): Promise<void> {
  const response = await open(request.url, request, parts);
  response.destroy();
  const status = response.statusCode ?? 0;
  if (status < 200 || status > 299)
    throw new Refusal('FetchFailed', `${describeOrigin(request.url)} answered with status ${status}`);
}

async function get(request: DownloadRequest, parts: DownloadParts): Promise<void> {
  let address = request.url;
  for (let redirects = 0; ; redirects += 1) {
    const response = await open(address, request, parts);
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
    if (status !== 200) {
      response.destroy();
      throw new Refusal('FetchFailed', `${describeUrl(address)} answered with status ${status}`);
    }
    await copy(response, address, request.maxBytes, parts);
    return;
  }
}

async function open(address: string, request: DownloadRequest, parts: DownloadParts): Promise<IncomingMessage> {
  const describe = describerOf(request);
  const verb = request.post === undefined ? 'fetched' : 'told anything';
  const checked = checkUrl(address);
  if ('why' in checked) throw new Refusal('FetchNotAllowed', `${describe(address)} is not ${verb}: ${checked.why}`);
  const { url, host, port } = checked;
  const found =
    isIP(host) === 0 ? await parts.lookup(host).catch(() => undefined) : { address: host, family: isIP(host) };
  if (found === undefined) throw new Refusal('FetchFailed', `the host name of ${describe(address)} could not be found`);
  const verdict = checkAddress(found.address, host, port, request.policy);
  if (!verdict.allowed) throw new Refusal('FetchNotAllowed', `${describe(address)} is not ${verb}: ${verdict.why}`);

  return new Promise((resolve, reject) => {
    const start = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const outgoing = start({
      host: found.address,
      family: found.family,
      port,
      method: request.post === undefined ? 'GET' : 'POST',
      path: `${url.pathname}${url.search}`,
      headers: {
        host: url.host,
        'user-agent': 'poolhouse',
        accept: '*/*',
        'accept-encoding': 'identity',
        connection: 'close',
        ...(request.post === undefined
          ? {}
          : {
              'content-type': request.post.contentType,
              'content-length': Buffer.byteLength(request.post.body),
            }),
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
      reject(new Refusal('FetchFailed', `${describe(address)} could not be reached: ${error.code ?? error.message}`));
    });
    outgoing.end(request.post?.body);
  });
}

async function copy(response: IncomingMessage, address: string, maxBytes: number, parts: DownloadParts): Promise<void> {
  let size = 0;
  const chunks = (response as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  for (;;) {
    const next = await chunks.next().catch(() => {
      throw new Refusal('FetchFailed', `${describeUrl(address)} ended in the middle`);
    });
    if (next.done === true) break;
    size += next.value.length;
    if (size > maxBytes) {
      response.destroy();
      throw new Refusal('FetchFailed', `${describeUrl(address)} is larger than ${describeSize(maxBytes)}`);
    }
    await parts.write(next.value);
  }
  if (!response.complete) throw new Refusal('FetchFailed', `${describeUrl(address)} ended in the middle`);
}
