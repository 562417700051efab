/** Shared access signatures: what an address itself says that its bearer may do, signed with a key of the account. Pure. */
import { isIPv4 } from 'node:net';
import type { EpochMillis } from '../../core/time.ts';
import type { RestQuery, RestTarget } from './read-target.ts';
import { asHeader, isHeaderText } from './read-headers.ts';
import { RestError } from './rest-error.ts';
import { signatureFits } from './shared-key.ts';

/** What an operation works on. `list`: what is in a folder. */
export type RestScope = 'service' | 'share' | 'list' | 'object';

export interface Need {
  scope: RestScope;
  /** One of these letters has to be granted. */
  anyOf: string;
}

export interface SasRequest {
  target: Pick<RestTarget, 'account' | 'share' | 'steps' | 'query'>;
  remoteAddress: string;
  now: EpochMillis;
}

const oldestVersion = '2015-04-05';
/** From here on what is signed has a line more. */
const scopedVersion = '2020-12-06';
const resourceTypes: Readonly<Record<RestScope, string>> = { service: 's', share: 'c', list: 'c', object: 'o' };

export const hasSas = (query: RestQuery): boolean => query.has('sig');

/** Throws what Azure answers where the signature does not allow what is needed. */
export function checkSas(request: SasRequest, need: Need, keys: readonly string[]): void {
  const { query } = request.target;
  const value = valuesOf(query);
  if (value('si') !== '')
    throw failed(
      'signatures by a stored access policy (si) are not known here: make one that says itself what it allows',
    );
  if (!/^\d{4}-\d{2}-\d{2}$/.test(value('sv')) || value('sv') < oldestVersion)
    throw failed(`the version (sv) of the signature is missing, or older than ${oldestVersion}`);
  const isAccount = isOfAccount(value);
  const text = isAccount ? accountText(request, value) : serviceText(request, value);
  if (!keys.some((key) => signatureFits(key, text, value('sig'))))
    throw failed('the signature (sig) is not one that a key of the account makes over this address');
  requireTime(value, request.now);
  if (value('spr') !== '' && !value('spr').split(',').includes('https'))
    throw new RestError('AuthorizationProtocolMismatch', 'The signature does not allow https.');
  if (value('sip') !== '' && !isWithin(request.remoteAddress, value('sip')))
    throw new RestError('AuthorizationSourceIPMismatch', 'The signature does not allow requests from this address.');
  if (isAccount) requireAccountScope(value, need);
  else if (!coversService(value('sr'), need.scope))
    throw new RestError('AuthorizationResourceTypeMismatch', 'The signature is not for this kind of resource.');
  if (!Array.from(value('sp')).some((letter) => need.anyOf.includes(letter)))
    throw new RestError(
      'AuthorizationPermissionMismatch',
      `The signature does not permit this: one of '${need.anyOf}' is needed in sp, which is '${value('sp').slice(0, 20)}'.`,
    );
}

const overrides = {
  rscc: 'cache-control',
  rscd: 'content-disposition',
  rsce: 'content-encoding',
  rscl: 'content-language',
  rsct: 'content-type',
};

/** What the signature for a share or a file says that a file is to be served with. That of an account has no such words: there nobody signed them. */
export function servedBySas(query: RestQuery): Record<string, string> {
  const value = valuesOf(query);
  if (isOfAccount(value)) return {};
  return Object.fromEntries(
    Object.entries(overrides).flatMap(([name, headerName]) =>
      value(name) === '' || !isHeaderText(value(name)) ? [] : [[headerName, asHeader(value(name))]],
    ),
  );
}

type Value = (name: string) => string;

const valuesOf =
  (query: RestQuery): Value =>
  (name) =>
    query.get(name)?.join(',') ?? '';
const isOfAccount = (value: Value) => value('ss') !== '' || value('srt') !== '';

function requireAccountScope(value: Value, { scope }: Need): void {
  if (!value('ss').includes('f'))
    throw new RestError('AuthorizationServiceMismatch', 'The signature is not for the file service (ss).');
  if (!value('srt').includes(resourceTypes[scope]))
    throw new RestError('AuthorizationResourceTypeMismatch', `The signature is not for this kind of resource: '${resourceTypes[scope]}' is needed in srt.`); // prettier-ignore
}

function coversService(resource: string, scope: RestScope): boolean {
  return resource === 's' ? scope === 'list' || scope === 'object' : resource === 'f' && scope === 'object';
}

function accountText({ target }: SasRequest, value: Value): string {
  const lines = [target.account, ...['sp', 'ss', 'srt', 'st', 'se', 'sip', 'spr', 'sv'].map(value)];
  return `${[...lines, ...(value('sv') >= scopedVersion ? [value('ses')] : [])].join('\n')}\n`;
}

function serviceText({ target }: SasRequest, value: Value): string {
  const below = value('sr') === 'f' ? target.steps : [];
  const resource = ['/file', target.account, target.share ?? '', ...below].join('/');
  return [...['sp', 'st', 'se'].map(value), resource, ...['si', 'sip', 'spr', 'sv', 'rscc', 'rscd', 'rsce', 'rscl', 'rsct'].map(value)].join('\n'); // prettier-ignore
}

function requireTime(value: Value, now: EpochMillis): void {
  const timeOf = (text: string) =>
    /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d{1,7})?)?Z)?$/.test(text) ? Date.parse(text) : Number.NaN;
  if (!(timeOf(value('se')) > now)) throw failed('the signature has expired, or says no time when it does (se)');
  if (value('st') !== '' && !(timeOf(value('st')) <= now)) throw failed('the signature is not valid yet (st)');
}

/** `A` or `A-B`. */
function isWithin(address: string, range: string): boolean {
  const plain = address.replace(/^::ffff:/, '');
  const [first = '', last = first] = range.split('-');
  if (![plain, first, last].every((one) => isIPv4(one))) return false;
  return numberOf(first) <= numberOf(plain) && numberOf(plain) <= numberOf(last);
}

function numberOf(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

function failed(reason: string): RestError {
  return new RestError('AuthenticationFailed', `Server failed to authenticate the request: ${reason}.`);
}
