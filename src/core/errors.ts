/**
 * Errors are words: a code from Azure's vocabulary where there is one, a message that is safe to show to the person
 * who asked, and the cause for the log. They become HTTP at the edge only (`arm/`), exit codes at the other (`cli/`).
 */
import type { Json } from './json.ts';

/** The codes in use, each with the HTTP status it becomes at the ARM edge. One list, so that no code is invented twice. */
export const httpStatusOf = {
  AccountNameInvalid: 400,
  AccountNotFound: 404,
  AllocationFailed: 409,
  AnotherOperationInProgress: 409,
  AuthenticationFailed: 401,
  AuthorizationFailed: 403,
  BadRequest: 400,
  Canceled: 409,
  Conflict: 409,
  DeploymentActive: 409,
  DeploymentCannotBeCancelled: 409,
  DeploymentFailed: 409,
  DeploymentNotFound: 404,
  EngineFailed: 500,
  EngineUnavailable: 503,
  FetchFailed: 400,
  FetchNotAllowed: 400,
  HostNotReady: 500,
  ImageBuildFailed: 500,
  InUseSubnetCannotBeDeleted: 400,
  InstanceNotFound: 404,
  InternalServerError: 500,
  InvalidApiVersionParameter: 400,
  InvalidConfiguration: 400,
  InvalidContentLink: 400,
  InvalidFilterInQueryString: 400,
  InvalidDeploymentName: 400,
  InvalidParameter: 400,
  InvalidRequestContent: 400,
  InvalidRequestFormat: 400,
  InvalidResourceLocation: 409,
  InvalidResourceNamespace: 404,
  InvalidResourceReference: 400,
  InvalidResourceName: 400,
  InvalidTemplate: 400,
  InvalidTemplateDeployment: 400,
  LinkedInvalidPropertyId: 400,
  LocationRequired: 400,
  MethodNotAllowed: 405,
  MissingApiVersionParameter: 400,
  MissingSubscription: 404,
  NoRegisteredProviderFound: 400,
  NotFound: 404,
  OperationNotAllowed: 409,
  OperationPreempted: 409,
  ParentResourceNotFound: 404,
  PlatformImageNotFound: 404,
  PreconditionFailed: 412,
  PublicIPAddressCannotBeDeleted: 400,
  QuotaExceeded: 409,
  RequestContentTooLarge: 413,
  ResourceDeploymentFailure: 409,
  ResourceGroupBeingDeleted: 409,
  ResourceGroupNotFound: 404,
  ResourceNotFound: 404,
  RulesUseSameFrontendPortProtocolAndIPConfig: 400,
  ShareHasSnapshots: 409,
  ShareNotFound: 404,
  SkuNotAvailable: 409,
  StorageAccountAlreadyTaken: 409,
  SubscriptionNotFound: 404,
  TooManyRequests: 429,
  Unavailable: 503,
  VMExtensionProvisioningError: 409,
  VMExtensionProvisioningTimeout: 409,
} as const;

export type ErrorCode = keyof typeof httpStatusOf;

/** An error in ARM's shape, as it is stored with operations and sent to clients. */
export interface ErrorBody {
  code: string;
  message: string;
  target?: string;
  details?: ErrorBody[];
  additionalInfo?: Json[];
}

export interface ErrorOptions {
  target?: string;
  details?: ErrorBody[];
  additionalInfo?: Json[];
  /** What really happened. For the log; never shown to the person. */
  cause?: unknown;
  /** True where the same call may succeed later without anybody changing anything. */
  retryable?: boolean;
}

/** Every failure that a person may see. `message` says what happened, to what, and what to do; it holds no secret. */
export class PoolhouseError extends Error {
  override readonly name = 'PoolhouseError';
  readonly code: ErrorCode;
  readonly target: string | undefined;
  readonly details: ErrorBody[];
  readonly additionalInfo: Json[];
  readonly retryable: boolean;

  constructor(code: ErrorCode, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.target = options.target;
    this.details = options.details ?? [];
    this.additionalInfo = options.additionalInfo ?? [];
    this.retryable = options.retryable ?? false;
  }

  /** ARM's shape of this error, without the cause. */
  toBody(): ErrorBody {
    return {
      code: this.code,
      message: this.message,
      ...(this.target === undefined ? {} : { target: this.target }),
      ...(this.details.length === 0 ? {} : { details: this.details }),
      ...(this.additionalInfo.length === 0 ? {} : { additionalInfo: this.additionalInfo }),
    };
  }
}

/** What to show for anything thrown: our own errors as they are, all others as an internal error without their text. */
export function errorBodyOf(thrown: unknown): ErrorBody {
  if (thrown instanceof PoolhouseError) return thrown.toBody();
  return {
    code: 'InternalServerError',
    message: 'Poolhouse met an unexpected error. `poolhouse logs control` has the details.',
  };
}
