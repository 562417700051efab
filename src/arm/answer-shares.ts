/**
 * What Azure Storage's management API does otherwise than the rest of ARM: snapshots of shares are part of the share's own path,
 * lists come in pages, and a change is answered when it was made, where others begin a long-running operation.
 */
import type { FastifyRequest } from 'fastify';
import { PoolhouseError } from '../core/errors.ts';
import { dig, isObject, textOf, type Json, type JsonObject } from '../core/json.ts';
import { formatResourceId, tryParseResourceId, type ResourceId } from '../core/resource-id.ts';
import type { Operation, ResourceService } from '../providers/resource-service.ts';
import type { ShareService } from '../providers/storage/share-service.ts';
import { query } from './read-request.ts';

const shareType = 'microsoft.storage/storageaccounts/fileservices/shares';
/** Types whose changes az does not wait for: it takes 200 for done, and 202 for an error. */
const answeredWhenDone = new Set(['microsoft.storage/storageaccounts', shareType]);
/** What is not done by then goes on all the same. */
const longestWait = 20_000;
const lookEvery = 50;

export const isShare = (type: string | undefined): boolean => type?.toLowerCase() === shareType;
export const isAnsweredWhenDone = (type: string): boolean => answeredWhenDone.has(type.toLowerCase());

/** The operation as it ended; as it is where that takes too long. */
export async function untilEnded(
  service: Pick<ResourceService, 'operation'>,
  operation: Operation,
): Promise<Operation> {
  const deadline = Date.now() + longestWait;
  let present = operation;
  while (present.status === 'InProgress' && Date.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, lookEvery));
    present = await service.operation(operation.id);
  }
  return present;
}

/** As data: a reply of Fastify's, awaited, would be none. */
export interface ShareAnswer {
  status: number;
  body?: JsonObject;
}

/** A request about a snapshot of a share, or about a share as only this API asks; undefined for all others. */
export async function answerShare(
  shares: ShareService,
  service: Pick<ResourceService, 'get'>,
  id: ResourceId,
  request: FastifyRequest,
): Promise<ShareAnswer | undefined> {
  const signal = new AbortController().signal;
  const snapshot = headerOf(request, 'x-ms-snapshot') ?? query(request, 'sharesnapshot');
  const expand = listOf(query(request, '$expand'));
  switch (request.method) {
    case 'GET':
    case 'HEAD':
      if (snapshot !== undefined) return { status: 200, body: await shares.snapshot(id, snapshot, signal) };
      if (!expand.includes('stats')) return undefined;
      return {
        status: 200,
        body: withProperties(await service.get(id), { shareUsageBytes: await shares.usedBytes(id, signal) }),
      };
    case 'PUT':
      return expand.includes('snapshots') ? { status: 201, body: await shares.takeSnapshot(id, signal) } : undefined;
    case 'DELETE': {
      if (snapshot !== undefined) {
        const { existed } = await shares.removeSnapshot(id, snapshot, signal);
        return { status: existed ? 200 : 204 };
      }
      if (query(request, '$include')?.toLowerCase() !== 'none') return undefined;
      // az says so unless it is told otherwise. What a schedule took is nobody's: it does not stand in the way.
      const kept = await shares.countByHand(id, signal);
      if (kept === 0) return undefined;
      throw new PoolhouseError(
        'ShareHasSnapshots',
        `The share has ${kept} ${kept === 1 ? 'snapshot' : 'snapshots'} that somebody took, and is not deleted without them: delete them first, or the share with '--include snapshots'.`,
      );
    }
    default:
      return undefined;
  }
}

/** A page of an account's shares, as `$expand`, `$filter`, `$maxpagesize` and `$skipToken` ask for it. */
export async function listShares(
  shares: ShareService,
  present: readonly JsonObject[],
  fileServiceId: ResourceId,
  request: FastifyRequest,
  pageUrl: (skipToken: string) => string,
): Promise<JsonObject> {
  const signal = new AbortController().signal;
  const expand = listOf(query(request, '$expand'));
  const all: JsonObject[] = [];
  for (const share of present) {
    if (expand.includes('snapshots')) all.push(...(await shares.snapshots(textOf(share['id']) as ResourceId, signal))); // as our own documents have it
    all.push(share);
  }
  if (expand.includes('deleted')) all.push(...(await shares.deleted(accountOf(fileServiceId))));
  const prefix = readPrefix(query(request, '$filter'));
  const ordered = all
    .filter((share) => textOf(share['name']).startsWith(prefix))
    .map((share) => ({ share, key: keyOfEntry(share) }))
    .toSorted((one, other) => (one.key < other.key ? -1 : 1));
  const after = query(request, '$skiptoken');
  const rest = after === undefined ? ordered : ordered.filter(({ key }) => key > after);
  const size = readPageSize(query(request, '$maxpagesize'));
  const page = rest.slice(0, size);
  const last = page.at(-1)?.key;
  return {
    value: page.map(({ share }) => share),
    ...(rest.length > page.length && last !== undefined ? { nextLink: pageUrl(last) } : {}),
  };
}

/** Orders a share's snapshots before it, by their time, and one that was deleted behind. */
function keyOfEntry(share: JsonObject): string {
  const time = textOf(dig(share, 'properties', 'snapshotTime'));
  const version = textOf(dig(share, 'properties', 'version'));
  return `${textOf(share['name'])} ${time === '' ? `~${version}` : time}`;
}

function readPrefix(filter: string | undefined): string {
  if (filter === undefined || filter.trim() === '') return '';
  const [, prefix] = /^\s*startswith\s*\(\s*name\s*,\s*'?([a-z0-9-]*)'?\s*\)\s*$/i.exec(filter) ?? [];
  if (prefix !== undefined) return prefix;
  throw new PoolhouseError(
    'InvalidFilterInQueryString',
    `Invalid $filter '${filter.slice(0, 200)}' specified in the query string: startswith(name, PREFIX) is understood.`,
  );
}

function readPageSize(text: string | undefined): number {
  if (text === undefined) return Number.POSITIVE_INFINITY;
  const size = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (size > 0) return size;
  throw new PoolhouseError('InvalidParameter', `The value '${text.slice(0, 40)}' of '$maxpagesize' is not valid: a whole number from 1 on is expected.`, { target: '$maxpagesize' }); // prettier-ignore
}

function accountOf(fileServiceId: ResourceId): ResourceId {
  const path = tryParseResourceId(fileServiceId);
  if (path === undefined) return fileServiceId;
  return formatResourceId({
    ...path,
    type: path.type.split('/').slice(0, 2).join('/'),
    names: path.names.slice(0, 1),
  });
}

const listOf = (text: string | undefined): string[] => (text ?? '').split(',').map((word) => word.trim().toLowerCase());

function headerOf(request: FastifyRequest, name: string): string | undefined {
  const value = request.headers[name];
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function withProperties(document: JsonObject, more: JsonObject): JsonObject {
  const properties: Json | undefined = document['properties'];
  return { ...document, properties: { ...(isObject(properties) ? properties : {}), ...more } };
}
