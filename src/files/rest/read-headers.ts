/** What requests say in headers and in the query. Pure. */
import type { RestRequest } from './rest-parts.ts';
import { RestError } from './rest-error.ts';
import { headerText, type HeaderValues } from './shared-key.ts';

type Asked = Pick<RestRequest, 'headers' | 'target'>;

export function header({ headers }: Pick<RestRequest, 'headers'>, name: string): string | undefined {
  const text = headerText(headers, name);
  return text === '' ? undefined : text;
}

export function queryValue({ target }: Pick<RestRequest, 'target'>, name: string): string | undefined {
  const value = target.query.get(name)?.[0];
  return value === '' ? undefined : value;
}

const most = 5_000;

/** `prefix`, `marker`, `maxresults`, `include` of a list. */
export function readListing(request: Asked): { prefix: string; marker: string; most: number; include: string[] } {
  const limit = queryValue(request, 'maxresults');
  if (limit !== undefined && !/^[1-9]\d{0,8}$/.test(limit))
    throw new RestError('OutOfRangeInput', `maxresults '${limit.slice(0, 20)}' is no number from 1 on.`);
  const marker = queryValue(request, 'marker');
  return {
    prefix: queryValue(request, 'prefix') ?? '',
    marker: marker === undefined ? '' : fromMarker(marker),
    most: Math.min(limit === undefined ? most : Number(limit), most),
    include: (queryValue(request, 'include') ?? '').toLowerCase().split(','),
  };
}

/** Names may hold anything: a marker is letters only. */
export const toMarker = (name: string): string => Buffer.from(JSON.stringify(name)).toString('base64url');

function fromMarker(marker: string): string {
  try {
    const name: unknown = JSON.parse(Buffer.from(marker, 'base64url').toString('utf8'));
    if (typeof name === 'string') return name;
  } catch {
    // none of ours
  }
  throw new RestError('InvalidQueryParameterValue', 'The marker is not one that a list gave.');
}

const metadataPrefix = 'x-ms-meta-';
const longestMetadata = 8_192;

/** What clients want kept: by name in lower case. */
export function readMetadata(headers: HeaderValues): Record<string, string> {
  const metadata: Record<string, string> = {};
  let size = 0;
  for (const key of Object.keys(headers)) {
    if (!key.startsWith(metadataPrefix)) continue;
    const name = key.slice(metadataPrefix.length);
    if (!/^[a-z_][a-z0-9_]{0,127}$/.test(name))
      throw new RestError('InvalidMetadata', `'${name.slice(0, 80)}' is no name that metadata may have.`);
    const value = headerText(headers, key);
    metadata[name] = value;
    size += Buffer.byteLength(name) + Buffer.byteLength(value);
  }
  if (size > longestMetadata)
    throw new RestError('InvalidMetadata', `The metadata is longer than ${longestMetadata} bytes.`);
  return metadata;
}

/** Of headers: text of others would be cut or refused on its way. */
export function metadataHeaders(metadata: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata).flatMap(([name, value]) => (isHeaderText(value) ? [[`${metadataPrefix}${name}`, asHeader(value)]] : [])), // prettier-ignore
  );
}

/** UTF-8, as so many characters as it has bytes. */
export const asHeader = (text: string): string => Buffer.from(text, 'utf8').toString('latin1');

export const isHeaderText = (text: string): boolean => !/[\u0000-\u001f\u007f]/.test(text);

export function numberHeader(request: Pick<RestRequest, 'headers'>, name: string, largest: number): number | undefined {
  const text = header(request, name);
  if (text === undefined) return undefined;
  const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (number <= largest) return number;
  throw new RestError('InvalidHeaderValue', `The header ${name} is no whole number up to ${largest}.`);
}

/** `bytes=A-B`, B inclusive; `bytes=A-` to the end. */
export function readRange(request: Pick<RestRequest, 'headers'>): { from: number; to?: number } | undefined {
  const text = header(request, 'x-ms-range') ?? header(request, 'range');
  if (text === undefined) return undefined;
  const [, from, to] = /^bytes=(\d{1,16})-(\d{1,16})?$/.exec(text) ?? [];
  if (from === undefined || (to !== undefined && Number(to) < Number(from)))
    throw new RestError('InvalidHeaderValue', `The range '${text.slice(0, 60)}' is not of the form bytes=FIRST-LAST.`);
  return { from: Number(from), ...(to === undefined ? {} : { to: Number(to) }) };
}
