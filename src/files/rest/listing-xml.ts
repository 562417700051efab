/** What a list says of what was asked. Pure. */
import { queryValue, readListing } from './read-headers.ts';
import type { RestRequest } from './rest-parts.ts';
import { textElement } from './xml.ts';

/**
 * Each only where it was asked for, as Azure has it: clients ask for the next page with the prefix that they find here, and the SDK for
 * Python makes one of an empty element.
 */
export function askedOfListing(request: Pick<RestRequest, 'headers' | 'target'>): (string | undefined)[] {
  const whereAsked = (name: string, query: string, value: string | number | undefined) =>
    queryValue(request, query) === undefined ? undefined : textElement(name, value);
  return [
    whereAsked('Prefix', 'prefix', queryValue(request, 'prefix')),
    whereAsked('Marker', 'marker', queryValue(request, 'marker')),
    whereAsked('MaxResults', 'maxresults', readListing(request).most),
  ];
}
