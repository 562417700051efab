/** Operations on files. */
import { createHash } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import type { ShareEntry, SharePlace } from '../share-files.ts';
import { sourceOf } from './answer-folder.ts';
import { entryHeaders, keptHeaders, ownMetadata, readServed } from './kept-properties.ts';
import { largestRange, readBytes } from './read-body.ts';
import { header, numberHeader, readMetadata, readRange } from './read-headers.ts';
import { requireNewName } from './read-target.ts';
import { asRestError, RestError } from './rest-error.ts';
import type { RestAnswer, RestParts, ShareRequest } from './rest-parts.ts';
import { checkSas, hasSas } from './sas.ts';
import { element, textElement, xmlDocument } from './xml.ts';

/** Azure's. */
const largestFile = 4 * 2 ** 40;

export async function createFile(request: ShareRequest, { files }: RestParts): Promise<RestAnswer> {
  if (header(request, 'x-ms-type')?.toLowerCase() !== 'file')
    throw new RestError('MissingRequiredHeader', `The header x-ms-type has to be 'file'.`);
  const size = numberHeader(request, 'x-ms-content-length', largestFile);
  if (size === undefined) throw new RestError('MissingRequiredHeader', 'The header x-ms-content-length is missing.');
  requireNewName(request.place.path);
  const metadata = { ...readServed(request), ...readMetadata(request.headers) };
  const made = await files.createFile(request.place, { size, metadata }, request.signal).catch(inFolder);
  const modifiedAt = lastWriteOf(request);
  const entry = modifiedAt === undefined ? made : await files.change(request.place, { modifiedAt }, request.signal);
  return { status: 201, headers: { ...entryHeaders(entry), 'x-ms-request-server-encrypted': 'false' } };
}

function inFolder(error: unknown): never {
  throw asRestError(error, { notFound: 'ParentNotFound', conflict: 'ResourceTypeMismatch' });
}

/** A time that the client sets; `now` and `preserve` change nothing. */
function lastWriteOf(request: ShareRequest): number | undefined {
  const at = Date.parse(header(request, 'x-ms-file-last-write-time') ?? '');
  return Number.isNaN(at) || at < 0 ? undefined : at;
}

export async function headFile(request: ShareRequest, { files }: RestParts): Promise<RestAnswer> {
  const entry = requireFile(await files.find(request.place, request.signal));
  return { status: 200, headers: { ...fileHeaders(entry), 'content-length': entry.size } };
}

function fileHeaders(entry: ShareEntry): Record<string, string | number> {
  return { ...entryHeaders(entry), ...keptHeaders(entry), 'x-ms-type': 'File', 'accept-ranges': 'bytes' };
}

export async function getFile(request: ShareRequest, { files }: RestParts): Promise<RestAnswer> {
  const entry = requireFile(await files.find(request.place, request.signal));
  const range = readRange(request);
  if (range === undefined) {
    const content = await files.read(request.place, { from: 0, length: entry.size }, request.signal);
    return { status: 200, headers: { ...fileHeaders(entry), 'content-length': entry.size }, body: content };
  }
  if (range.from >= entry.size)
    throw new RestError('InvalidRange', `The range begins at ${range.from}, and the file has ${entry.size} bytes.`);
  const last = Math.min(range.to ?? entry.size - 1, entry.size - 1);
  const length = last - range.from + 1;
  const content = await files.read(request.place, { from: range.from, length }, request.signal);
  const { 'content-md5': whole, ...headers } = fileHeaders(entry);
  const answer = {
    ...headers,
    ...(whole === undefined ? {} : { 'x-ms-content-md5': whole }),
    'content-length': length,
    'content-range': `bytes ${range.from}-${last}/${entry.size}`,
  };
  if (header(request, 'x-ms-range-get-content-md5')?.toLowerCase() !== 'true')
    return { status: 206, headers: answer, body: content };
  if (length > largestRange) {
    content.destroy();
    throw new RestError('OutOfRangeInput', `The MD5 of a range is given up to ${largestRange} bytes.`);
  }
  const bytes = await buffer(content);
  return { status: 206, headers: { ...answer, 'content-md5': md5Of(bytes) }, body: bytes };
}

function md5Of(bytes: Uint8Array): string {
  return createHash('md5').update(bytes).digest('base64');
}

export async function deleteFile(request: ShareRequest, { files }: RestParts): Promise<RestAnswer> {
  await files.removeFile(request.place, request.signal).catch((error: unknown) => {
    throw asRestError(error, { conflict: 'ResourceTypeMismatch' });
  });
  return { status: 202 };
}

export async function putRange(request: ShareRequest, { files }: RestParts): Promise<RestAnswer> {
  if (header(request, 'x-ms-copy-source') !== undefined)
    throw new RestError('FeatureNotSupported', 'A range is not read from another address: send it, or copy the file.');
  const range = readRange(request);
  if (range?.to === undefined) throw new RestError('MissingRequiredHeader', 'The header x-ms-range says which bytes (bytes=FIRST-LAST), and is missing.'); // prettier-ignore
  const length = range.to - range.from + 1;
  const entry = requireFile(await files.find(request.place, request.signal));
  if (range.to >= entry.size)
    throw new RestError(
      'InvalidRange',
      `The range ends behind the file, which has ${entry.size} bytes: resize it first.`,
    );
  const how = header(request, 'x-ms-write')?.toLowerCase();
  if (how === 'clear') {
    const cleared = await files.clear(request.place, { from: range.from, length }, request.signal);
    return { status: 201, headers: entryHeaders(cleared) };
  }
  if (how !== 'update')
    throw new RestError('MissingRequiredHeader', `The header x-ms-write has to be 'update' or 'clear'.`);
  const bytes = await readBytes(request, largestRange);
  if (bytes.length !== length)
    throw new RestError('InvalidInput', `The body has ${bytes.length} bytes, and the range ${length}.`);
  const [md5, wanted] = [md5Of(bytes), header(request, 'content-md5')];
  if (wanted !== undefined && wanted !== md5) throw new RestError('Md5Mismatch', 'The MD5 is not that of the body.');
  const written = await files.write(request.place, range.from, bytes, request.signal);
  return { status: 201, headers: { ...entryHeaders(written), 'content-md5': md5 } };
}

/** Holes are not looked for: what a file holds is one range. */
export async function listRanges(request: ShareRequest, { files }: RestParts): Promise<RestAnswer> {
  const entry = requireFile(await files.find(request.place, request.signal));
  const asked = readRange(request);
  const [first, last] = [asked?.from ?? 0, Math.min(asked?.to ?? entry.size - 1, entry.size - 1)];
  const range = first > last ? [] : [element('Range', [textElement('Start', first), textElement('End', last)])];
  return {
    status: 200,
    headers: { ...entryHeaders(entry), 'x-ms-content-length': entry.size },
    body: xmlDocument(element('Ranges', range)),
  };
}

/** Sets how it is served, all of it anew, and its size where that is named. */
export async function setFile(request: ShareRequest, { files }: RestParts): Promise<RestAnswer> {
  const present = requireFile(await files.find(request.place, request.signal));
  const size = numberHeader(request, 'x-ms-content-length', largestFile);
  const modifiedAt = lastWriteOf(request);
  const entry = await files.change(
    request.place,
    {
      metadata: { ...ownMetadata(present.metadata), ...readServed(request) },
      ...(size === undefined ? {} : { size }),
      ...(modifiedAt === undefined ? {} : { modifiedAt }),
    },
    request.signal,
  );
  return { status: 200, headers: entryHeaders(entry) };
}

/** Copies a file of this service here, and answers when that is done. */
export async function copyFile(request: ShareRequest, parts: RestParts): Promise<RestAnswer> {
  const { files, newId } = parts;
  requireNewName(request.place.path);
  const from = await copySource(request, parts);
  const source = requireFile(
    await files.find(from, request.signal).catch((error: unknown) => {
      throw asRestError(error, { notFound: 'CannotVerifyCopySource' });
    }),
  );
  const own = readMetadata(request.headers);
  const metadata = Object.keys(own).length === 0 ? source.metadata : { ...source.metadata, ...own };
  const isSame = from.share === request.share && from.account === request.place.account && from.snapshot === undefined;
  const entry =
    isSame && from.path.join('/') === request.place.path.join('/')
      ? source
      : await files.copy(from, request.place, { metadata }, request.signal).catch(inFolder);
  return { status: 202, headers: { ...entryHeaders(entry), 'x-ms-copy-id': newId(), 'x-ms-copy-status': 'success' } };
}

/** One of the same account, or one whose address is signed. */
async function copySource(request: ShareRequest, { accounts }: RestParts): Promise<SharePlace> {
  const source = sourceOf(request, 'x-ms-copy-source');
  const { account, share = '', steps, query } = source;
  if (hasSas(query)) {
    const keys = (await accounts.keysOf(account)) ?? [];
    checkSas({ target: source, remoteAddress: request.remoteAddress, now: request.now }, { scope: 'object', anyOf: 'r' }, keys); // prettier-ignore
  } else if (account !== request.target.account || hasSas(request.target.query))
    throw new RestError(
      'CannotVerifyCopySource',
      'The source needs a signature (SAS) in its address that allows to read it.',
    );
  await accounts.findShare(account, share, request.signal);
  const time = query.get('sharesnapshot')?.[0];
  const snapshot = time === undefined ? undefined : await accounts.snapshotName(account, share, time, request.signal);
  return { account, share, path: steps, ...(snapshot === undefined ? {} : { snapshot }) };
}

export function abortCopy(): RestAnswer {
  throw new RestError('NoPendingCopyOperation', 'Copies are done when they are answered: there is none to abort.');
}

function requireFile(entry: ShareEntry): ShareEntry {
  if (entry.kind === 'file') return entry;
  throw new RestError('ResourceNotFound', 'There is a folder of that name, and no file.');
}
