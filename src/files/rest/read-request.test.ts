import { Readable } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { askedOfListing } from './listing-document.ts';
import { operationOf } from './operations.ts';
import { readListing, readMetadata, readRange, toMarker } from './read-headers.ts';
import { readTarget, requireNewName } from './read-target.ts';
import { RestError } from './rest-error.ts';
import { element, fitsXml, textElement } from './xml.ts';

const codeOf = (attempt: () => unknown) => {
  try {
    return attempt();
  } catch (error) {
    return error instanceof RestError ? error.code : String(error);
  }
};

describe('an address', () => {
  it.each<[string, string, string, string | undefined, string[]]>([
    ['of an account', '/team', '127.0.0.1:1', undefined, []],
    ['of a share', '/team/files', '127.0.0.1:1', 'files', []],
    ['of a file', '/team/files/a/b', '127.0.0.1:1', 'files', ['a', 'b']],
    ['with what has to be encoded', '/team/files/a%20%C3%A4%2Bb%3F+c', 'x', 'files', ['a ä+b?+c']],
    ['with an encoded slash, as the SDK writes folders', '/team/files/a%2Fb', 'x', 'files', ['a', 'b']],
    ['with slashes too many', '/team//files/a//b/', 'x', 'files', ['a', 'b']],
    ['with the account in the host', '/files/a', 'team.file.core.windows.net', 'files', ['a']],
    ['with the account in the host and a port', '/files/a', 'TEAM.file.localhost:8443', 'files', ['a']],
  ])('%s', (_name, url, host, share, steps) => {
    expect(readTarget(url, host)).toMatchObject({ account: 'team', share, steps, rawPath: url });
  });

  it.each([
    ['/', 'InvalidUri'],
    ['/Team/files', 'InvalidUri'],
    ['/../etc', 'InvalidUri'],
    ['team', 'InvalidUri'],
    ['/team/files/%', 'InvalidUri'],
    ['/team/files/%ff', 'InvalidUri'],
    ['/team/Files', 'InvalidResourceName'],
    ['/team/-files', 'InvalidResourceName'],
    ['/team/../x', 'InvalidResourceName'],
    ['/team/files/../x', 'InvalidResourceName'],
    ['/team/files/%2e%2e/x', 'InvalidResourceName'],
    ['/team/files/a%2F..%2Fb', 'InvalidResourceName'],
    ['/team/files/a%00', 'InvalidResourceName'],
    [`/team/files/${'a'.repeat(256)}`, 'InvalidResourceName'],
    [`/team/files/${'a/'.repeat(251)}`, 'InvalidResourceName'],
    [`/team/files/${'a'.repeat(20_000)}`, 'InvalidUri'],
  ])('%s is none', (url, code) => {
    expect(codeOf(() => readTarget(url, '127.0.0.1'))).toBe(code);
  });
});

it.each([['a'], ['a b'], ['.a'], ['ä日']])('%s may be made', (name) => {
  expect(codeOf(() => { requireNewName([name]); })).toBeUndefined(); // prettier-ignore
});
it.each([['a:b'], ['a.'], ['a '], ['a*'], ['a\\b'], ['a\tb'], ['a\ufffe'], ['']])('%j may not be made', (name) => {
  const isRefused = codeOf(() => { requireNewName([name]); }) === 'InvalidResourceName'; // prettier-ignore
  expect(isRefused).toBe(name !== '');
});

const ask = (method: string, url: string, headers: Record<string, string> = {}) => ({
  method,
  target: readTarget(url, 'x'),
  headers,
  body: Readable.from([]),
});

describe('an operation', () => {
  it.each<[string, string, Record<string, string>, string]>([
    ['GET', '/team?comp=list', {}, 'listShares'],
    ['PUT', '/team/files?restype=share', {}, 'createShare'],
    ['HEAD', '/team/files?restype=share', {}, 'getShare'],
    ['GET', '/team/files?restype=directory&comp=list', {}, 'listFolder'],
    ['HEAD', '/team/files/a?restype=directory', {}, 'getFolder'],
    ['HEAD', '/team/files/a', {}, 'headFile'],
    ['GET', '/team/files/a', {}, 'getFile'],
    ['PUT', '/team/files/a', {}, 'createFile'],
    ['PUT', '/team/files/a', { 'x-ms-copy-source': 'https://x' }, 'copyFile'],
    ['PUT', '/team/files/a?comp=range', { 'x-ms-copy-source': 'https://x' }, 'putRange'],
    ['PUT', '/team/files/a?comp=RENAME', {}, 'rename'],
    ['GET', '/team/files', {}, 'UnsupportedQueryParameter'],
    ['GET', '/team/files/a?restype=share', {}, 'UnsupportedQueryParameter'],
    ['GET', '/team/files/a?comp=constructor', {}, 'UnsupportedQueryParameter'],
    ['PUT', '/team/files?restype=share&comp=lease', {}, 'FeatureNotSupported'],
    ['POST', '/team/files', {}, 'UnsupportedHttpVerb'],
  ])('%s %s %j is %s', (method, url, headers, name) => {
    const found = codeOf(() => operationOf(ask(method, url, headers)).name);
    expect(found).toBe(name);
  });
});

it('a list repeats what was asked, and nothing else', () => {
  expect(askedOfListing(ask('GET', '/team/files?restype=directory&comp=list')).join('')).toBe('');
  expect(askedOfListing(ask('GET', '/team?comp=list&prefix=a&marker=ImEi&maxresults=9999')).join('')).toBe(
    '<Prefix>a</Prefix><Marker>ImEi</Marker><MaxResults>5000</MaxResults>',
  );
});

describe('headers', () => {
  it.each<[string, unknown]>([
    ['bytes=0-3', { from: 0, to: 3 }],
    ['bytes=5-', { from: 5 }],
    ['bytes=3-2', 'InvalidHeaderValue'],
    ['bytes=-2', 'InvalidHeaderValue'],
    ['0-3', 'InvalidHeaderValue'],
  ])('range %s', (text, range) => {
    expect(codeOf(() => readRange(ask('GET', '/team/files/a', { 'x-ms-range': text })))).toEqual(range);
  });
  it('say metadata', () => {
    expect(readMetadata({ 'x-ms-meta-a': '1', 'x-ms-meta-b_2': 'Ã¤', other: 'x' })).toEqual({ a: '1', b_2: 'ä' });
    expect(codeOf(() => readMetadata({ 'x-ms-meta-a-b': '1' }))).toBe('InvalidMetadata');
    expect(codeOf(() => readMetadata({ 'x-ms-meta-a': 'x'.repeat(9_000) }))).toBe('InvalidMetadata');
    expect(codeOf(() => readMetadata({ 'x-ms-meta-a': 'Ã¤'.repeat(4_500) }))).toBe('InvalidMetadata');
  });
  it('say which part of a list', () => {
    const listing = readListing(
      ask('GET', `/team/files?comp=list&prefix=a&maxresults=7&marker=${toMarker('b\ud800')}`),
    );
    expect(listing).toEqual({ prefix: 'a', marker: 'b\ud800', most: 7, include: [''] });
    expect(readListing(ask('GET', '/team?maxresults=99999')).most).toBe(5_000);
    expect(codeOf(() => readListing(ask('GET', '/team?maxresults=0')))).toBe('OutOfRangeInput');
  });
});

it('XML holds what it can', () => {
  expect(textElement('Name', `<&>"'`)).toBe('<Name>&lt;&amp;&gt;&quot;&apos;</Name>');
  expect(element('A', [textElement('B', 'a\u0001\ud800')], { c: '\uffff' })).toBe(
    '<A c="\ufffd"><B>a\ufffd\ufffd</B></A>',
  );
  expect([fitsXml('ä日'), fitsXml('a\u0001'), fitsXml('\udc80')]).toEqual([true, false, false]);
});
