/** Whole requests, on files that are made up: what a signature does not allow, though its letters would. */
import { createHmac } from 'node:crypto';
import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { PoolhouseError } from '../../core/errors.ts';
import { noShareFiles } from '../no-share-files.ts';
import type { ShareEntry } from '../share-files.ts';
import { answerRest } from './answer-rest.ts';
import { readTarget } from './read-target.ts';
import { RestError } from './rest-error.ts';
import { servedBySas } from './sas.ts';
import type { RestAccounts, RestAnswer, RestParts } from './rest-parts.ts';

const key = Buffer.alloc(64, 7).toString('base64');
const now = Date.UTC(2026, 10, 26);
const entry: ShareEntry = {
  name: 'a',
  kind: 'file',
  size: 3,
  modifiedAt: now,
  createdAt: now,
  etag: '1',
  metadata: {},
};
const share = { name: 'files', quotaGiB: 5, etag: '1', changedAt: now, metadata: {} };
const never = () => Promise.reject(new Error('nobody asks for this'));

const accounts: RestAccounts = {
  ...{ listShares: never, createShare: never, changeShare: never, deleteShare: never, usedBytes: never },
  ...{ takeSnapshot: never, snapshotName: never, deleteSnapshot: never },
  keysOf: (account) => Promise.resolve(account === 'team' ? [key] : undefined),
  findShare: () => Promise.resolve(share),
};
const prepareParts = (): RestParts => {
  const there = new Set(['a']);
  return {
    accounts,
    files: {
      ...noShareFiles(),
      find: ({ path }) => there.has(path.at(-1) ?? '') ? Promise.resolve(entry) : Promise.reject(path.at(-1) === 'slow' ? new PoolhouseError('Unavailable', 'not now') : new PoolhouseError('NotFound', 'none')), // prettier-ignore
      createFile: ({ path }) => {
        there.add(path.at(-1) ?? '');
        return Promise.resolve(entry);
      },
      copy: () => Promise.resolve(entry),
      read: () => Promise.resolve(Readable.from(['abc'])),
      rename: () => Promise.resolve(),
    },
    newId: () => 'id',
  };
};

/** @param type what the file is to be served as */
function sas(resource: 's' | 'f', permissions: string, path: string, type = ''): string {
  const end = '2030-01-01T00:00:00Z';
  const named = `/file/team/files${resource === 'f' ? `/${path}` : ''}`;
  const text = [permissions, '', end, named, '', '', '', '2021-06-08', '', '', '', '', type].join('\n');
  const signature = createHmac('sha256', Buffer.from(key, 'base64')).update(text).digest('base64');
  return `sp=${permissions}&se=${end}&sv=2021-06-08&sr=${resource}&sig=${encodeURIComponent(signature)}${type === '' ? '' : `&rsct=${encodeURIComponent(type)}`}`;
}

const ask = (method: string, url: string, headers: Record<string, string> = {}): Promise<number | string> =>
  answer(method, url, headers).then(
    ({ status }) => status,
    (error: unknown) => (error instanceof RestError ? error.code : String(error)),
  );

function answer(method: string, url: string, headers: Record<string, string> = {}): Promise<RestAnswer> {
  const target = readTarget(url, '127.0.0.1:9');
  const request = { method, target, headers: { host: '127.0.0.1:9', ...headers }, endpoint: 'https://127.0.0.1:9/team/', remoteAddress: '127.0.0.1', body: Readable.from([]), now, signal: new AbortController().signal }; // prettier-ignore
  return answerRest(request, prepareParts());
}

const made = { 'x-ms-type': 'file', 'x-ms-content-length': '3' };
const from = (path: string) => `https://127.0.0.1:9/team/files/${path}`;

describe('a request with a signature', () => {
  it.each<[string, string, string, Record<string, string>, number | string]>([
    ['reads', 'GET', `/team/files/a?${sas('f', 'r', 'a')}`, {}, 200],
    ['makes a new file', 'PUT', `/team/files/b?${sas('s', 'c', '')}`, made, 201],
    ['makes no file anew that is there', 'PUT', `/team/files/a?${sas('s', 'c', '')}`, made, 'AuthorizationPermissionMismatch'], // prettier-ignore
    ['makes none where nobody knows what is there', 'PUT', `/team/files/slow?${sas('s', 'c', '')}`, made, 'PoolhouseError: not now'], // prettier-ignore
    ['makes one anew that it may write', 'PUT', `/team/files/a?${sas('s', 'cw', '')}`, made, 201],
    ['renames in its share', 'PUT', `/team/files/a?comp=rename&${sas('s', 'w', '')}`, { 'x-ms-file-rename-source': from('a') }, 200], // prettier-ignore
    ['of one file moves no other there', 'PUT', `/team/files/a?comp=rename&${sas('f', 'w', 'a')}`, { 'x-ms-file-rename-source': from('x') }, 'AuthorizationResourceTypeMismatch'], // prettier-ignore
    ['copies nothing that it may not read', 'PUT', `/team/files/b?${sas('f', 'w', 'b')}`, { 'x-ms-copy-source': from('a') }, 'CannotVerifyCopySource'], // prettier-ignore
    ['copies what another signature reads', 'PUT', `/team/files/b?${sas('f', 'w', 'b')}`, { 'x-ms-copy-source': `${from('a')}?${sas('f', 'r', 'a')}` }, 202], // prettier-ignore
    ['copies from nowhere else', 'PUT', `/team/files/b?${sas('f', 'w', 'b')}`, { 'x-ms-copy-source': 'https://example.com/a' }, 'CannotVerifyCopySource'], // prettier-ignore
    ['of an account that there is not', 'GET', `/nobody/files/a?${sas('f', 'r', 'a')}`, {}, 'AuthenticationFailed'],
    ['and none', 'GET', '/team/files/a', {}, 'AuthenticationFailed'],
  ])('%s', async (_name, method, url, headers, outcome) => {
    expect(await ask(method, url, headers)).toBe(outcome);
  });

  it('says as what the file is served, where it is signed for that', async () => {
    const typeOf = async (query: string) => (await answer('GET', `/team/files/a?${query}`)).headers?.['content-type'];
    expect(await typeOf(sas('f', 'r', 'a', 'text/html'))).toBe('text/html');
    expect(await typeOf(sas('f', 'r', 'a', 'a\r\nb'))).toBe('application/octet-stream');
    expect(servedBySas(readTarget('/team?ss=f&srt=o&rsct=text%2Fhtml', '127.0.0.1').query)).toEqual({});
  });
});
