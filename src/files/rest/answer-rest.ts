/** One request to the file service: who asks, whether they may, and what is answered. */
import { PoolhouseError } from '../../core/errors.ts';
import * as files from './answer-file.ts';
import * as folders from './answer-folder.ts';
import * as service from './answer-service.ts';
import * as shares from './answer-share.ts';
import { header, queryValue } from './read-headers.ts';
import { operationOf, type RestOperation } from './operations.ts';
import { RestError } from './rest-error.ts';
import type { RestAnswer, RestParts, RestRequest, ShareRequest } from './rest-parts.ts';
import { checkSas, hasSas, servedBySas, type Need } from './sas.ts';
import { checkSharedKey } from './shared-key.ts';

type ServiceOperation = 'listShares' | 'getService' | 'setService';
type Answerer<R> = (request: R, parts: RestParts) => RestAnswer | Promise<RestAnswer>;

const ofService: Readonly<Record<ServiceOperation, Answerer<RestRequest>>> = {
  listShares: service.listShares,
  getService: service.getService,
  setService: service.setService,
};
const ofShares: Readonly<Record<Exclude<RestOperation, ServiceOperation>, Answerer<ShareRequest>>> = {
  createShare: shares.createShare,
  getShare: shares.getShare,
  deleteShare: shares.deleteShare,
  snapshotShare: shares.snapshotShare,
  setShareMetadata: shares.setShareMetadata,
  setShare: shares.setShare,
  shareStats: shares.shareStats,
  getAcl: shares.getAcl,
  setAcl: shares.setAcl,
  createFolder: folders.createFolder,
  getFolder: folders.getFolder,
  deleteFolder: folders.deleteFolder,
  listFolder: folders.listFolder,
  setFolder: folders.setFolder,
  setMetadata: folders.setMetadata,
  rename: folders.rename,
  listHandles: folders.listHandles,
  closeHandles: folders.closeHandles,
  createFile: files.createFile,
  copyFile: files.copyFile,
  abortCopy: files.abortCopy,
  getFile: files.getFile,
  headFile: files.headFile,
  deleteFile: files.deleteFile,
  putRange: files.putRange,
  listRanges: files.listRanges,
  setFile: files.setFile,
};

export async function answerRest(request: RestRequest, parts: RestParts): Promise<RestAnswer> {
  const { name, ...need } = operationOf(request);
  await authorize(request, need, parts);
  if (isOfService(name)) return ofService[name](request, parts);
  const { account, share = '', steps } = request.target;
  // Of the share's own operations each looks itself whether there is one.
  const isOfFiles = need.scope !== 'share';
  if (isOfFiles) await parts.accounts.findShare(account, share, request.signal);
  const time = queryValue(request, 'sharesnapshot');
  const snapshot =
    time === undefined || name === 'deleteShare'
      ? undefined
      : await parts.accounts.snapshotName(account, share, time, request.signal);
  const place = { account, share, path: steps, ...(snapshot === undefined ? {} : { snapshot }) };
  const asked = { ...request, share, place };
  if (!isBySas(request)) return ofShares[name](asked, parts);
  await narrow(name, asked, parts);
  const answer = await ofShares[name](asked, parts);
  return name === 'getFile'
    ? { ...answer, headers: { ...answer.headers, ...servedBySas(request.target.query) } }
    : answer;
}

const isBySas = (request: RestRequest) => header(request, 'authorization') === undefined;

/** What a signature does not allow, though its letters and its kind would: there is another file that it speaks of. */
async function narrow(name: RestOperation, request: ShareRequest, { files: shareFiles }: RestParts): Promise<void> {
  if (name === 'rename' && queryValue(request, 'sr') === 'f')
    throw new RestError('AuthorizationResourceTypeMismatch', 'A signature for one file moves no other to its place.');
  if ((name !== 'createFile' && name !== 'copyFile') || queryValue(request, 'sp')?.includes('w') === true) return;
  const isThere = await shareFiles.find(request.place, request.signal).then(
    () => true,
    (error: unknown) => {
      if (error instanceof PoolhouseError && error.code === 'NotFound') return false;
      throw error; // nobody knows: what may be there is not replaced
    },
  );
  if (isThere)
    throw new RestError('AuthorizationPermissionMismatch', `There is such a file, and the signature permits to make new ones only ('w' is needed in sp).`); // prettier-ignore
}

function isOfService(name: RestOperation): name is ServiceOperation {
  return Object.hasOwn(ofService, name);
}

/** An account that is not there is answered as a wrong signature is: nobody learns which there are. */
async function authorize(request: RestRequest, need: Need, { accounts }: RestParts): Promise<void> {
  const { target, now } = request;
  const keys = (await accounts.keysOf(target.account)) ?? [];
  const authorization = header(request, 'authorization');
  if (isBySas(request) && hasSas(target.query)) {
    checkSas({ target, remoteAddress: request.remoteAddress, now }, need, keys);
    return;
  }
  if (authorization === undefined)
    throw new RestError('AuthenticationFailed', 'Server failed to authenticate the request: it is signed with no key (Authorization) and by no SAS.'); // prettier-ignore
  if (/^bearer /i.test(authorization))
    throw new RestError('AuthenticationFailed', `Server failed to authenticate the request: files are reached with a key of the account or a SAS ('az storage account keys list', or '--connection-string').`); // prettier-ignore
  const { method, headers } = request;
  const reason = checkSharedKey({ method, ...target, headers }, keys, now);
  if (reason !== undefined)
    throw new RestError('AuthenticationFailed', `Server failed to authenticate the request: ${reason}. The key of the account '${target.account}' is needed.`); // prettier-ignore
}
