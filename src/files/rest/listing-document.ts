/** A page of a listing, as all operations that list answer it. Pure. */
import { queryValue, readListing, toMarker } from './read-headers.ts';
import type { RestRequest } from './rest-parts.ts';
import { element, textElement, xmlDocument } from './xml.ts';

type Asked = Pick<RestRequest, 'headers' | 'target'>;

/** `next`: after what the next page begins; undefined on the last one. */
export function listingDocument(
  request: Asked,
  page: { kind: 'Entries' | 'Shares'; items: readonly string[]; next: string | undefined },
  attributes: Readonly<Record<string, string>>,
): string {
  return xmlDocument(
    element(
      'EnumerationResults',
      [
        ...askedOfListing(request),
        element(page.kind, page.items),
        textElement('NextMarker', page.next === undefined ? '' : toMarker(page.next)),
      ],
      attributes,
    ),
  );
}

/**
 * What a list says of what was asked. Each only where it was asked for, as Azure has it: clients ask for the next page with the
 * prefix that they find here, and the SDK for Python makes one of an empty element.
 */
export function askedOfListing(request: Asked): (string | undefined)[] {
  const whereAsked = (name: string, query: string, value: string | number | undefined) =>
    queryValue(request, query) === undefined ? undefined : textElement(name, value);
  return [
    whereAsked('Prefix', 'prefix', queryValue(request, 'prefix')),
    whereAsked('Marker', 'marker', queryValue(request, 'marker')),
    whereAsked('MaxResults', 'maxresults', readListing(request).most),
  ];
}
