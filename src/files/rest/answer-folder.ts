/** Operations on folders, and those that are the same for files. */
import { header, queryValue, readListing, readMetadata } from './read-headers.ts';
import { entryHeaders, fileTime, keptHeaders, servedOf } from './kept-properties.ts';
import { listingDocument } from './listing-document.ts';
import { readTarget, requireNewName } from './read-target.ts';
import { asRestError, RestError } from './rest-error.ts';
import type { RestAnswer, RestParts, ShareRequest } from './rest-parts.ts';
import type { ShareEntry } from '../share-files.ts';
import { element, fitsXml, textElement, xmlDocument } from './xml.ts';

export async function createFolder(request: ShareRequest, { files }: RestParts): Promise<RestAnswer> {
  if (request.place.path.length === 0)
    throw new RestError('ResourceAlreadyExists', 'The root of a share is always there.');
  requireNewName(request.place.path);
  const entry = await files
    .makeFolder(request.place, readMetadata(request.headers), request.signal)
    .catch((error: unknown) => {
      throw asRestError(error, { notFound: 'ParentNotFound' });
    });
  return { status: 201, headers: entryHeaders(entry) };
}

export async function getFolder(request: ShareRequest, { files }: RestParts): Promise<RestAnswer> {
  const entry = requireFolder(await files.find(request.place, request.signal));
  return { status: 200, headers: { ...entryHeaders(entry), ...keptHeaders(entry) } };
}

export async function deleteFolder(request: ShareRequest, { files }: RestParts): Promise<RestAnswer> {
  await files.removeFolder(request.place, request.signal).catch((error: unknown) => {
    throw asRestError(error, { conflict: 'DirectoryNotEmpty' });
  });
  return { status: 202 };
}

/** What Windows would set of a folder is not known here; that it is there is. */
export async function setFolder(request: ShareRequest, { files }: RestParts): Promise<RestAnswer> {
  const entry = requireFolder(await files.find(request.place, request.signal));
  return { status: 200, headers: entryHeaders(entry) };
}

export async function setMetadata(request: ShareRequest, { files }: RestParts): Promise<RestAnswer> {
  const present = await files.find(request.place, request.signal);
  const metadata = { ...servedOf(present.metadata), ...readMetadata(request.headers) };
  const entry = await files.change(request.place, { metadata }, request.signal);
  return { status: 200, headers: entryHeaders(entry) };
}

export async function listFolder(request: ShareRequest, { files }: RestParts): Promise<RestAnswer> {
  const { prefix, marker, most, include } = readListing(request);
  const { entries, next } = await files.list(
    request.place,
    { most, ...(prefix === '' ? {} : { prefix }), ...(marker === '' ? {} : { after: marker }) },
    request.signal,
  );
  const snapshot = queryValue(request, 'sharesnapshot');
  // What is not text at all has no name that a client could say.
  const items = entries.filter(({ name }) => fitsXml(name)).map((entry) => entryXml(entry, include));
  const attributes = {
    ServiceEndpoint: request.endpoint,
    ShareName: request.share,
    ...(snapshot === undefined ? {} : { ShareSnapshot: snapshot }),
    DirectoryPath: request.place.path.join('/'),
  };
  return { status: 200, body: listingDocument(request, { kind: 'Entries', items, next }, attributes) };
}

function entryXml(entry: ShareEntry, include: readonly string[]): string {
  const isFile = entry.kind === 'file';
  return element(isFile ? 'File' : 'Directory', [
    textElement('Name', entry.name),
    element('Properties', [
      isFile ? textElement('Content-Length', entry.size) : undefined,
      ...(include.includes('timestamps')
        ? [
            textElement('CreationTime', fileTime(entry.createdAt)),
            textElement('LastWriteTime', fileTime(entry.modifiedAt)),
            textElement('ChangeTime', fileTime(entry.modifiedAt)),
            textElement('Last-Modified', new Date(entry.modifiedAt).toUTCString()),
          ]
        : []),
      include.includes('etag') ? textElement('Etag', `"${entry.etag}"`) : undefined,
    ]),
    include.includes('attributes') ? textElement('Attributes', isFile ? 'Archive' : 'Directory') : undefined,
  ]);
}

/** The place in the address becomes what another place was. */
export async function rename(request: ShareRequest, { files }: RestParts): Promise<RestAnswer> {
  requireNewName(request.place.path);
  const source = sourceOf(request, 'x-ms-file-rename-source');
  if (source.account !== request.target.account || source.share !== request.share || source.query.has('sharesnapshot'))
    throw new RestError('InvalidHeaderValue', 'What is renamed has to be in the same share.');
  const from = { account: source.account, share: request.share, path: source.steps };
  const replace = header(request, 'x-ms-file-rename-replace-if-exists')?.toLowerCase() === 'true';
  await files.rename(from, request.place, { replace }, request.signal);
  return { status: 200, headers: entryHeaders(await files.find(request.place, request.signal)) };
}

/** An address of ours in a header. */
export function sourceOf(request: ShareRequest, name: string): ReturnType<typeof readTarget> {
  const text = header(request, name);
  if (text === undefined) throw new RestError('MissingRequiredHeader', `The header ${name} is missing.`);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url?.protocol !== 'https:' || url.username !== '' || !isOurs(url, request))
    throw new RestError('CannotVerifyCopySource', `The header ${name} has to be an address of this service: ${request.endpoint}SHARE/PATH.`); // prettier-ignore
  const target = readTarget(`${url.pathname}${url.search}`, url.host);
  if (target.share === undefined || target.steps.length === 0)
    throw new RestError('InvalidHeaderValue', `The header ${name} names no file.`);
  return target;
}

function isOurs(url: URL, request: ShareRequest): boolean {
  const own = new URL(request.endpoint);
  return url.host === own.host || url.host.toLowerCase() === header(request, 'host')?.toLowerCase();
}

/** Files that programs have open are not counted. */
export function listHandles(): RestAnswer {
  return { status: 200, body: xmlDocument(element('EnumerationResults', [element('Entries', []), textElement('NextMarker', '')])) }; // prettier-ignore
}

export function closeHandles(): RestAnswer {
  return { status: 200, headers: { 'x-ms-number-of-handles-closed': 0, 'x-ms-number-of-handles-failed': 0 } };
}

function requireFolder(entry: ShareEntry): ShareEntry {
  if (entry.kind === 'folder') return entry;
  throw new RestError('ResourceNotFound', 'There is a file of that name, and no folder.');
}
