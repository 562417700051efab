/** Which operation a request is, and what a signature has to allow for it. Pure. */
import type { RestRequest } from './rest-parts.ts';
import { header } from './read-headers.ts';
import { RestError } from './rest-error.ts';
import type { Need } from './sas.ts';

const operations = {
  // The account's file service
  'service GET list': { name: 'listShares', scope: 'service', anyOf: 'l' },
  'service GET properties': { name: 'getService', scope: 'service', anyOf: 'r' },
  'service PUT properties': { name: 'setService', scope: 'service', anyOf: 'w' },
  // Shares
  'share PUT': { name: 'createShare', scope: 'share', anyOf: 'cw' },
  'share GET': { name: 'getShare', scope: 'share', anyOf: 'r' },
  'share GET metadata': { name: 'getShare', scope: 'share', anyOf: 'r' },
  'share DELETE': { name: 'deleteShare', scope: 'share', anyOf: 'd' },
  'share PUT snapshot': { name: 'snapshotShare', scope: 'share', anyOf: 'cw' },
  'share PUT metadata': { name: 'setShareMetadata', scope: 'share', anyOf: 'w' },
  'share PUT properties': { name: 'setShare', scope: 'share', anyOf: 'w' },
  'share GET stats': { name: 'shareStats', scope: 'share', anyOf: 'r' },
  'share GET acl': { name: 'getAcl', scope: 'share', anyOf: 'r' },
  'share PUT acl': { name: 'setAcl', scope: 'share', anyOf: 'w' },
  // Folders
  'directory PUT': { name: 'createFolder', scope: 'object', anyOf: 'cw' },
  'directory GET': { name: 'getFolder', scope: 'object', anyOf: 'r' },
  'directory GET metadata': { name: 'getFolder', scope: 'object', anyOf: 'r' },
  'directory DELETE': { name: 'deleteFolder', scope: 'object', anyOf: 'd' },
  'directory GET list': { name: 'listFolder', scope: 'list', anyOf: 'l' },
  'directory PUT metadata': { name: 'setMetadata', scope: 'object', anyOf: 'w' },
  'directory PUT properties': { name: 'setFolder', scope: 'object', anyOf: 'w' },
  'directory PUT rename': { name: 'rename', scope: 'object', anyOf: 'w' },
  'directory GET listhandles': { name: 'listHandles', scope: 'list', anyOf: 'l' },
  'directory PUT forceclosehandles': { name: 'closeHandles', scope: 'object', anyOf: 'w' },
  // Files
  'file PUT': { name: 'createFile', scope: 'object', anyOf: 'cw' },
  'file PUT copy-from': { name: 'copyFile', scope: 'object', anyOf: 'cw' },
  'file GET': { name: 'getFile', scope: 'object', anyOf: 'r' },
  'file HEAD': { name: 'headFile', scope: 'object', anyOf: 'r' },
  'file GET metadata': { name: 'headFile', scope: 'object', anyOf: 'r' },
  'file DELETE': { name: 'deleteFile', scope: 'object', anyOf: 'd' },
  'file PUT range': { name: 'putRange', scope: 'object', anyOf: 'w' },
  'file GET rangelist': { name: 'listRanges', scope: 'object', anyOf: 'r' },
  'file PUT properties': { name: 'setFile', scope: 'object', anyOf: 'w' },
  'file PUT metadata': { name: 'setMetadata', scope: 'object', anyOf: 'w' },
  'file PUT rename': { name: 'rename', scope: 'object', anyOf: 'w' },
  'file PUT copy': { name: 'abortCopy', scope: 'object', anyOf: 'w' },
  'file GET listhandles': { name: 'listHandles', scope: 'list', anyOf: 'l' },
  'file PUT forceclosehandles': { name: 'closeHandles', scope: 'object', anyOf: 'w' },
} as const satisfies Readonly<Record<string, Need & { name: string }>>;

export type RestOperation = (typeof operations)[keyof typeof operations]['name'];

const methods = new Set(['GET', 'HEAD', 'PUT', 'DELETE']);
/** Of Azure's, with a word why not here. */
const refused: Readonly<Record<string, string>> = {
  lease: 'leases are not known here: instances use the files all the same',
  filepermission: 'security descriptors of Windows are not known here: files have owners and modes',
  undelete: `a deleted share is restored by 'az storage share-rm restore'`,
};

/** @throws RestError for what is no operation, or none that is known here */
export function operationOf(
  request: Pick<RestRequest, 'method' | 'target' | 'headers'>,
): Need & { name: RestOperation } {
  const { method, target } = request;
  if (!methods.has(method))
    throw new RestError('UnsupportedHttpVerb', `The method ${method.slice(0, 20)} is not known here.`);
  const comp = target.query.get('comp')?.[0]?.toLowerCase() ?? '';
  const restype = target.query.get('restype')?.[0]?.toLowerCase() ?? '';
  if (comp in refused && Object.hasOwn(refused, comp))
    throw new RestError('FeatureNotSupported', `This is not supported: ${refused[comp] ?? ''}.`);
  const key = `${kindOf(target, restype)} ${verbOf(method, kindOf(target, restype), comp)}${partOf(request, comp)}`;
  if (isKnown(key)) return operations[key];
  throw new RestError(
    'UnsupportedQueryParameter',
    `There is no such operation: ${method} with restype '${restype.slice(0, 40)}' and comp '${comp.slice(0, 40)}'.`,
  );
}

function kindOf(target: RestRequest['target'], restype: string): string {
  if (target.share === undefined) return 'service';
  if (restype === 'directory') return 'directory';
  return target.steps.length === 0 ? (restype === 'share' ? 'share' : 'nothing') : restype === '' ? 'file' : 'nothing';
}

function verbOf(method: string, kind: string, comp: string): string {
  return method === 'HEAD' && !(kind === 'file' && comp === '') ? 'GET' : method;
}

function partOf(request: Pick<RestRequest, 'method' | 'headers'>, comp: string): string {
  if (comp !== '') return ` ${comp}`;
  return request.method === 'PUT' && header(request, 'x-ms-copy-source') !== undefined ? ' copy-from' : '';
}

function isKnown(key: string): key is keyof typeof operations {
  return Object.hasOwn(operations, key);
}
