/** Bodies of requests that are read whole: all of them are small. */
import type { RestRequest } from './rest-parts.ts';
import { numberHeader } from './read-headers.ts';
import { RestError } from './rest-error.ts';

/** Azure's largest range in one request. */
export const largestRange = 4 * 2 ** 20;
const largestText = 256 * 2 ** 10;

/** Exactly as many bytes as its header says. */
export async function readBytes(request: RestRequest, largest: number): Promise<Buffer> {
  const length = numberHeader(request, 'content-length', Number.MAX_SAFE_INTEGER);
  if (length === undefined) throw new RestError('MissingContentLengthHeader', 'The header Content-Length is missing.');
  if (length > largest) throw new RestError('RequestBodyTooLarge', `The body is longer than ${largest} bytes.`);
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of request.body as AsyncIterable<Buffer>) {
    chunks.push(chunk);
    size += chunk.length;
  }
  if (size !== length) throw new RestError('InvalidInput', 'The body was cut off.');
  return Buffer.concat(chunks);
}

export async function readText(request: RestRequest): Promise<string> {
  return hasNoBody(request) ? '' : (await readBytes(request, largestText)).toString('utf8');
}

const hasNoBody = (request: RestRequest) =>
  request.headers['content-length'] === undefined && request.headers['transfer-encoding'] === undefined;
