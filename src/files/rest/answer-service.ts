/** Operations on an account's file service. */
import { listingDocument } from './listing-document.ts';
import { readListing } from './read-headers.ts';
import { RestError } from './rest-error.ts';
import type { RestAnswer, RestParts, RestRequest, RestShare } from './rest-parts.ts';
import { readText } from './read-body.ts';
import { element, textElement, xmlDocument } from './xml.ts';

export async function listShares(request: RestRequest, { accounts }: RestParts): Promise<RestAnswer> {
  const { prefix, marker, most, include } = readListing(request);
  const all = await accounts.listShares(
    request.target.account,
    { snapshots: include.includes('snapshots') },
    request.signal,
  );
  const found = all.filter((share) => share.name.startsWith(prefix) && orderOf(share) > marker);
  const page = found.slice(0, most);
  const last = found.length > page.length ? page.at(-1) : undefined;
  const items = page.map((share) => shareXml(share, include.includes('metadata')));
  const next = last === undefined ? undefined : orderOf(last);
  const attributes = { ServiceEndpoint: request.endpoint };
  return { status: 200, body: listingDocument(request, { kind: 'Shares', items, next }, attributes) };
}

/** Snapshots before their share. */
function orderOf({ name, snapshot }: RestShare): string {
  return `${name} ${snapshot ?? '~'}`;
}

function shareXml(share: RestShare, withMetadata: boolean): string {
  return element('Share', [
    textElement('Name', share.name),
    share.snapshot === undefined ? undefined : textElement('Snapshot', share.snapshot),
    element('Properties', [
      textElement('Last-Modified', new Date(share.changedAt).toUTCString()),
      textElement('Etag', `"${share.etag}"`),
      textElement('Quota', share.quotaGiB),
      textElement('AccessTier', 'TransactionOptimized'),
      textElement('LeaseStatus', 'unlocked'),
      textElement('LeaseState', 'available'),
    ]),
    withMetadata
      ? element(
          'Metadata',
          Object.entries(share.metadata).map(([name, value]) => textElement(name, value)),
        )
      : undefined,
  ]);
}

export function getService(): RestAnswer {
  const metrics = (name: string) =>
    element(name, [textElement('Version', '1.0'), textElement('Enabled', 'false'), element('RetentionPolicy', [textElement('Enabled', 'false')])]); // prettier-ignore
  return {
    status: 200,
    body: xmlDocument(element('StorageServiceProperties', [metrics('HourMetrics'), metrics('MinuteMetrics'), element('Cors', [])])), // prettier-ignore
  };
}

/** What there is cannot be changed: a document that asks for nothing else is taken. */
export async function setService(request: RestRequest): Promise<RestAnswer> {
  const text = await readText(request);
  if (/<CorsRule>/i.test(text)) throw new RestError('FeatureNotSupported', 'Rules for browsers of other sites (CORS) are not supported.'); // prettier-ignore
  if (/<Enabled>\s*true/i.test(text))
    throw new RestError('FeatureNotSupported', `Azure's metrics of the file service are not kept here: 'poolhouse status' and the metrics of control tell.`); // prettier-ignore
  return { status: 202 };
}
