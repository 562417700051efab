/** Signatures made by Azure's own SDK (for Python, 2021-06-08) with the key that its emulator has for everybody. */
import { describe, expect, it } from 'vitest';
import { readTarget } from './read-target.ts';
import { RestError } from './rest-error.ts';
import { checkSas, type Need } from './sas.ts';
import { checkSharedKey, sharedKeyLiteText, signatureFits, type SignedRequest } from './shared-key.ts';

const key = 'Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==';
const otherKey = Buffer.alloc(64, 1).toString('base64');
const host = '127.0.0.1:9';
const time = (text: string) => Date.parse(text);

function request(method: string, url: string, headers: Record<string, string>): SignedRequest {
  return { method, ...readTarget(url, host), headers };
}

const putRange = {
  'content-length': '5',
  'content-type': 'application/octet-stream',
  'x-ms-client-request-id': 'c7ddc508-e9c8-11f1-b774-02fc00000001',
  'x-ms-date': 'Thu, 26 Nov 2026 18:39:58 GMT',
  'x-ms-range': 'bytes=0-4',
  'x-ms-version': '2021-06-08',
  'x-ms-write': 'update',
  authorization: 'SharedKey teamfiles:J9rqAdmFIkiYkvMb5WOJevIBefn0B1oc1B673qIa1pA=',
};
const putUrl = '/teamfiles/files/data/%C3%A4%20b%2Bc.txt?comp=range';
const list = {
  'x-ms-client-request-id': 'c7e0d5ae-e9c8-11f1-b774-02fc00000001',
  'x-ms-date': 'Thu, 26 Nov 2026 18:39:58 GMT',
  'x-ms-version': '2021-06-08',
  authorization: 'SharedKey teamfiles:EbTh0c6EsTbd2+YsvwU7EsgSJI1y8CtPu0YbCqmj+Wc=',
};
const listUrl = '/teamfiles/files/data%2Fin?restype=directory&comp=list&prefix=a%20b%26c&include=timestamps%2CEtag';
const then = time('2026-11-26T18:40:00Z');

describe('a shared key', () => {
  it.each<[string, SignedRequest, string[], number, string | undefined]>([
    ['that is right', request('PUT', putUrl, putRange), [key, otherKey], then, undefined],
    ['that is the second', request('GET', listUrl, list), [otherKey, key], then, undefined],
    [
      'of another account',
      request('GET', listUrl.replace('teamfiles', 'others'), list),
      [key],
      then,
      'another account',
    ],
    ['that is another', request('PUT', putUrl, putRange), [otherKey], then, 'not one that a key'],
    ['of no account', request('PUT', putUrl, putRange), [], then, 'not one that a key'],
    ['over another method', request('DELETE', putUrl, putRange), [key], then, 'not one that a key'],
    ['over another path', request('PUT', putUrl.replace('data', 'date'), putRange), [key], then, 'not one that a key'],
    ['over another query', request('PUT', `${putUrl}&x=1`, putRange), [key], then, 'not one that a key'],
    [
      'over another header',
      request('PUT', putUrl, { ...putRange, 'x-ms-write': 'clear' }),
      [key],
      then,
      'not one that',
    ],
    [
      'over another length',
      request('PUT', putUrl, { ...putRange, 'content-length': '6' }),
      [key],
      then,
      'not one that',
    ],
    [
      'with a header more',
      request('PUT', putUrl, { ...putRange, 'x-ms-more': '1' }),
      [key],
      then,
      'not one that a key',
    ],
    ['that is old', request('PUT', putUrl, putRange), [key], then + 16 * 60_000, '15 minutes'],
    ['from the future', request('PUT', putUrl, putRange), [key], then - 16 * 60_000, '15 minutes'],
    ['without a time', request('PUT', putUrl, { ...putRange, 'x-ms-date': '' }), [key], then, '15 minutes'],
    ['of another form', request('PUT', putUrl, { ...putRange, authorization: 'SharedKey x' }), [key], then, 'form'],
  ])('%s', (_name, signed, keys, now, reason) => {
    const found = checkSharedKey(signed, keys, now);
    if (reason === undefined) expect(found).toBeUndefined();
    else expect(found).toContain(reason);
  });

  it('is also known in its short form', () => {
    const text = sharedKeyLiteText(request('GET', listUrl, list));
    expect(text).toBe(
      'GET\n\n\n\nx-ms-client-request-id:c7e0d5ae-e9c8-11f1-b774-02fc00000001\nx-ms-date:Thu, 26 Nov 2026 18:39:58 GMT\nx-ms-version:2021-06-08\n/teamfiles/teamfiles/files/data%2Fin?comp=list',
    );
    expect(signatureFits(key, text, 'AAAA')).toBe(false);
  });
});

const ofAccount =
  'st=2026-01-01T00%3A00%3A00Z&se=2030-01-01T00%3A00%3A00Z&sp=rwdlc&sip=127.0.0.1-127.0.0.9&spr=https&sv=2021-06-08&ss=f&srt=sco&sig=JbGPsGP5Y2/cWk8JkOdOAr2YGFlObqZoosAxOnKpgOc%3D';
const ofShare =
  'se=2030-01-01T00%3A00%3A00Z&sp=rl&sv=2021-06-08&sr=s&sig=drGNp0N9nZF15ZarEfeC/1EGzsum9jOwr/EQu9er90E%3D';
const ofFile =
  'se=2030-01-01T00%3A00%3A00Z&sp=r&sv=2021-06-08&sr=f&rsct=text/plain&sig=djYvX8hJ6Dl4%2B5VrWLlN8pgetJZCC9Z7aV6Wt2xbJB8%3D';
const file = '/teamfiles/files/data/%C3%A4%20b.txt';
const read: Need = { scope: 'object', anyOf: 'r' };
const write: Need = { scope: 'object', anyOf: 'w' };
const listing: Need = { scope: 'list', anyOf: 'l' };

describe('a shared access signature', () => {
  it.each<[string, string, Need, string | undefined]>([
    ['of an account reads', `${file}?${ofAccount}`, read, undefined],
    [
      'of an account lists its shares',
      `/teamfiles?comp=list&${ofAccount}`,
      { scope: 'service', anyOf: 'l' },
      undefined,
    ],
    ['of an account makes shares', `/teamfiles/new?${ofAccount}`, { scope: 'share', anyOf: 'cw' }, undefined],
    ['of another account', `/others/files?${ofAccount}`, read, 'AuthenticationFailed'],
    [
      'with more allowed than was signed',
      `${file}?${ofAccount.replace('rwdlc', 'rwdlcu')}`,
      read,
      'AuthenticationFailed',
    ],
    ['for longer than was signed', `${file}?${ofAccount.replace('2030', '2031')}`, read, 'AuthenticationFailed'],
    ['of a share reads', `${file}?${ofShare}`, read, undefined],
    ['of a share lists', `/teamfiles/files?${ofShare}`, listing, undefined],
    ['of a share does not write', `${file}?${ofShare}`, write, 'AuthorizationPermissionMismatch'],
    ['of a share is none of another', `${file.replace('/files', '/fines')}?${ofShare}`, read, 'AuthenticationFailed'],
    ['of a share deletes no share', `/teamfiles/files?${ofShare}`, { scope: 'share', anyOf: 'd' }, 'AuthorizationResourceTypeMismatch'], // prettier-ignore
    ['of a file reads', `${file}?${ofFile}`, read, undefined],
    ['of a file reads no other', `${file}x?${ofFile}`, read, 'AuthenticationFailed'],
    ['of a file lists nothing', `${file}?${ofFile}`, listing, 'AuthorizationResourceTypeMismatch'],
    ['by a stored policy', `${file}?${ofFile}&si=policy`, read, 'AuthenticationFailed'],
    ['of no version', `${file}?${ofFile.replace('sv=2021-06-08', 'sv=1')}`, read, 'AuthenticationFailed'],
  ])('%s', (_name, url, need, code) => {
    const asked = { target: readTarget(url, host), remoteAddress: '127.0.0.1', now: then };
    const found = codeOf(() => { checkSas(asked, need, [otherKey, key]); }); // prettier-ignore
    expect(found).toBe(code);
    expect(codeOf(() => { checkSas(asked, need, [otherKey]); })).toBe('AuthenticationFailed'); // prettier-ignore
  });

  it.each<[string, string, string, number, string | undefined]>([
    ['before it begins', ofAccount, '127.0.0.1', time('2025-12-31T23:59:59Z'), 'AuthenticationFailed'],
    ['after its end', ofAccount, '127.0.0.1', time('2030-01-01T00:00:00Z'), 'AuthenticationFailed'],
    ['from elsewhere', ofAccount, '127.0.0.10', then, 'AuthorizationSourceIPMismatch'],
    ['from an address of the range', ofAccount, '::ffff:127.0.0.9', then, undefined],
    ['from an address that is none', ofAccount, '::1', then, 'AuthorizationSourceIPMismatch'],
  ])('%s', (_name, sas, remoteAddress, now, code) => {
    const asked = { target: readTarget(`${file}?${sas}`, host), remoteAddress, now };
    expect(codeOf(() => { checkSas(asked, read, [key]); })).toBe(code); // prettier-ignore
  });
});

function codeOf(attempt: () => void): string | undefined {
  try {
    attempt();
    return undefined;
  } catch (error) {
    return error instanceof RestError ? error.code : String(error);
  }
}
