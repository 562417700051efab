/** What clients keep with a file: their own metadata, and the headers that the file is to be served with. Pure. */
import type { ShareEntry } from '../share-files.ts';
import { asHeader, header, isHeaderText, metadataHeaders } from './read-headers.ts';
import type { RestRequest } from './rest-parts.ts';

/** Kept as `@NAME`, so that nobody's metadata is taken for one. */
const served = ['content-type', 'content-encoding', 'content-language', 'content-disposition', 'cache-control', 'content-md5'] as const; // prettier-ignore

type Kept = Readonly<Record<string, string>>;

/** Of `x-ms-content-type` and the others of its kind. */
export function readServed(request: Pick<RestRequest, 'headers'>): Record<string, string> {
  return Object.fromEntries(
    served.flatMap((name) => {
      const value = header(request, `x-ms-${name}`);
      return value === undefined ? [] : [[`@${name}`, value]];
    }),
  );
}

export const ownMetadata = (kept: Kept): Kept =>
  Object.fromEntries(Object.entries(kept).filter(([name]) => /^[a-z_][a-z0-9_]*$/.test(name)));
export const servedOf = (kept: Kept): Kept =>
  Object.fromEntries(Object.entries(kept).filter(([name]) => name.startsWith('@')));

/** What is known of a file or a folder, as headers. */
export function entryHeaders(entry: ShareEntry): Record<string, string | number> {
  return {
    etag: `"${entry.etag}"`,
    'last-modified': new Date(entry.modifiedAt).toUTCString(),
    'x-ms-server-encrypted': 'false',
    'x-ms-file-attributes': entry.kind === 'folder' ? 'Directory' : 'Archive',
    'x-ms-file-creation-time': fileTime(entry.createdAt),
    'x-ms-file-last-write-time': fileTime(entry.modifiedAt),
    'x-ms-file-change-time': fileTime(entry.modifiedAt),
  };
}

/** Of a file that is read, or of a folder. */
export function keptHeaders(entry: ShareEntry): Record<string, string> {
  const headers = metadataHeaders(ownMetadata(entry.metadata));
  if (entry.kind === 'folder') return headers;
  for (const name of served) {
    const value = entry.metadata[`@${name}`];
    if (value !== undefined && isHeaderText(value)) headers[name] = asHeader(value);
  }
  return { 'content-type': 'application/octet-stream', ...headers };
}

/** Azure's, to 100 nanoseconds. */
export function fileTime(at: number): string {
  return new Date(at).toISOString().replace('Z', '0000Z');
}
