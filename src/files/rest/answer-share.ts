/** Operations on shares: they are resources, and are made and deleted as those are. */
import { header, metadataHeaders, numberHeader, queryValue, readMetadata } from './read-headers.ts';
import { readText } from './read-body.ts';
import { RestError } from './rest-error.ts';
import type { RestAnswer, RestParts, RestShare, ShareRequest } from './rest-parts.ts';
import { element, textElement, xmlDocument } from './xml.ts';

const largestQuota = 102_400;

function shareHeaders(share: RestShare): Record<string, string | number> {
  return { etag: `"${share.etag}"`, 'last-modified': new Date(share.changedAt).toUTCString() };
}

function quotaOf(request: ShareRequest): number | undefined {
  const quota = numberHeader(request, 'x-ms-share-quota', largestQuota);
  if (quota === 0) throw new RestError('InvalidHeaderValue', 'A share has a quota of 1 GiB at least.');
  return quota;
}

export async function createShare(request: ShareRequest, { accounts }: RestParts): Promise<RestAnswer> {
  const asked = { quotaGiB: quotaOf(request), metadata: readMetadata(request.headers) };
  const share = await accounts.createShare(request.target.account, request.share, asked, request.signal);
  return { status: 201, headers: shareHeaders(share) };
}

export async function getShare(request: ShareRequest, { accounts }: RestParts): Promise<RestAnswer> {
  const share = await accounts.findShare(request.target.account, request.share, request.signal);
  return {
    status: 200,
    headers: {
      ...shareHeaders(share),
      ...metadataHeaders(share.metadata),
      'x-ms-share-quota': share.quotaGiB,
      'x-ms-access-tier': 'TransactionOptimized',
      'x-ms-lease-status': 'unlocked',
      'x-ms-lease-state': 'available',
      'x-ms-enabled-protocols': 'SMB',
    },
  };
}

export async function deleteShare(request: ShareRequest, { accounts }: RestParts): Promise<RestAnswer> {
  const { account } = request.target;
  const time = queryValue(request, 'sharesnapshot');
  if (time !== undefined) await accounts.deleteSnapshot(account, request.share, time, request.signal);
  else {
    const snapshots = header(request, 'x-ms-delete-snapshots') !== undefined;
    await accounts.deleteShare(account, request.share, { snapshots }, request.signal);
  }
  return { status: 202 };
}

export async function snapshotShare(request: ShareRequest, { accounts }: RestParts): Promise<RestAnswer> {
  if (Object.keys(readMetadata(request.headers)).length > 0)
    throw new RestError('FeatureNotSupported', 'A snapshot has the metadata of its share, and none of its own.');
  const share = await accounts.takeSnapshot(request.target.account, request.share, request.signal);
  return { status: 201, headers: { ...shareHeaders(share), 'x-ms-snapshot': share.snapshot ?? '' } };
}

export async function setShareMetadata(request: ShareRequest, { accounts }: RestParts): Promise<RestAnswer> {
  const metadata = readMetadata(request.headers);
  const share = await accounts.changeShare(request.target.account, request.share, { metadata }, request.signal);
  return { status: 200, headers: shareHeaders(share) };
}

export async function setShare(request: ShareRequest, { accounts }: RestParts): Promise<RestAnswer> {
  const quotaGiB = quotaOf(request);
  const change = quotaGiB === undefined ? {} : { quotaGiB };
  const share = await accounts.changeShare(request.target.account, request.share, change, request.signal);
  return { status: 200, headers: shareHeaders(share) };
}

export async function shareStats(request: ShareRequest, { accounts }: RestParts): Promise<RestAnswer> {
  const { account } = request.target;
  const share = await accounts.findShare(account, request.share, request.signal);
  const bytes = await accounts.usedBytes(account, request.share, request.signal);
  return {
    status: 200,
    headers: shareHeaders(share),
    body: xmlDocument(element('ShareStats', [textElement('ShareUsageBytes', bytes)])),
  };
}

export async function getAcl(request: ShareRequest, { accounts }: RestParts): Promise<RestAnswer> {
  const share = await accounts.findShare(request.target.account, request.share, request.signal);
  return { status: 200, headers: shareHeaders(share), body: xmlDocument(element('SignedIdentifiers', [])) };
}

export async function setAcl(request: ShareRequest, { accounts }: RestParts): Promise<RestAnswer> {
  if (/<SignedIdentifier>/i.test(await readText(request)))
    throw new RestError('FeatureNotSupported', 'Stored access policies are not supported: a signature (SAS) has to say itself what it allows.'); // prettier-ignore
  const share = await accounts.findShare(request.target.account, request.share, request.signal);
  return { status: 200, headers: shareHeaders(share) };
}
