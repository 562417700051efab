/** A page of a listing, as all operations that list answer it. Pure. */
import { queryValue, readListing, toMarker } from './read-headers.ts';
import { element, textElement, xmlDocument } from './xml.ts';

/** `next`: after what the next page begins; undefined on the last one. */
export function listingDocument(
  request: Parameters<typeof readListing>[0],
  page: { kind: 'Entries' | 'Shares'; items: readonly string[]; next: string | undefined },
  attributes: Readonly<Record<string, string>>,
): string {
  const { prefix, most } = readListing(request);
  return xmlDocument(
    element(
      'EnumerationResults',
      [
        textElement('Prefix', prefix),
        textElement('Marker', queryValue(request, 'marker')),
        textElement('MaxResults', most),
        element(page.kind, page.items),
        textElement('NextMarker', page.next === undefined ? '' : toMarker(page.next)),
      ],
      attributes,
    ),
  );
}
