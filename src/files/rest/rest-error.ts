/** What is answered to clients of Azure Files' REST interface when something does not work: Azure's codes, each with its status. */
import { PoolhouseError } from '../../core/errors.ts';

const statusOf = {
  AuthenticationFailed: 403,
  AuthorizationFailure: 403,
  AuthorizationPermissionMismatch: 403,
  AuthorizationProtocolMismatch: 403,
  AuthorizationResourceTypeMismatch: 403,
  AuthorizationServiceMismatch: 403,
  AuthorizationSourceIPMismatch: 403,
  CannotVerifyCopySource: 404,
  DirectoryNotEmpty: 409,
  FeatureNotSupported: 400,
  InternalError: 500,
  InvalidHeaderValue: 400,
  InvalidInput: 400,
  InvalidMetadata: 400,
  InvalidQueryParameterValue: 400,
  InvalidRange: 416,
  InvalidResourceName: 400,
  InvalidUri: 400,
  Md5Mismatch: 400,
  MissingContentLengthHeader: 411,
  MissingRequiredHeader: 400,
  NoPendingCopyOperation: 409,
  OperationNotAllowedOnShareSnapshot: 409,
  OutOfRangeInput: 400,
  ParentNotFound: 404,
  RequestBodyTooLarge: 413,
  ResourceAlreadyExists: 409,
  ResourceNotFound: 404,
  ResourceTypeMismatch: 409,
  ServerBusy: 503,
  ShareAlreadyExists: 409,
  ShareBeingDeleted: 409,
  ShareHasSnapshots: 409,
  ShareNotFound: 404,
  ShareSizeLimitReached: 413,
  ShareSnapshotCountExceeded: 409,
  ShareSnapshotNotFound: 404,
  UnsupportedHttpVerb: 405,
  UnsupportedQueryParameter: 400,
} as const;

export type RestCode = keyof typeof statusOf;

export class RestError extends Error {
  override readonly name = 'RestError';
  readonly code: RestCode;
  readonly status: number;

  constructor(code: RestCode, message: string, options: { cause?: unknown } = {}) {
    super(message, options);
    this.code = code;
    this.status = statusOf[code];
  }
}

/** What a failure of ours is in Azure's words; `changes` are words for what differs between operations. */
export function asRestError(
  error: unknown,
  changes: { notFound?: RestCode | undefined; conflict?: RestCode | undefined } = {},
): RestError {
  if (error instanceof RestError) return error;
  if (!(error instanceof PoolhouseError)) return new RestError('InternalError', 'The server met an unexpected error. `poolhouse logs control` has the details.', { cause: error }); // prettier-ignore
  const { code, message } = error;
  const as = (rest: RestCode) => new RestError(rest, message, { cause: error });
  switch (code) {
    case 'NotFound':
    case 'ResourceNotFound':
      return as(changes.notFound ?? 'ResourceNotFound');
    case 'ShareNotFound':
      return as('ShareNotFound');
    case 'Conflict':
      return as(changes.conflict ?? 'ResourceAlreadyExists');
    case 'OperationNotAllowed':
      return as('OperationNotAllowedOnShareSnapshot');
    case 'QuotaExceeded':
      return as('ShareSizeLimitReached');
    case 'InvalidParameter':
    case 'InvalidRequestContent':
      return as('InvalidInput');
    case 'InvalidResourceName':
      return as('InvalidResourceName');
    case 'Unavailable':
    case 'EngineUnavailable':
    case 'TooManyRequests':
      return as('ServerBusy');
    default:
      return new RestError('InternalError', message, { cause: error });
  }
}
