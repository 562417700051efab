import { PoolhouseError } from '../core/errors.ts';
import type { Location } from './parse-lenient.ts';

/** `InvalidTemplate` in Azure's words: what is wrong, and where it stands. */
export function templateError(message: string, location?: Location, path?: string): PoolhouseError {
  return new PoolhouseError('InvalidTemplate', `Deployment template validation failed: '${message}'.`, {
    additionalInfo: [
      {
        type: 'TemplateViolation',
        info: { lineNumber: location?.line ?? 0, linePosition: location?.column ?? 0, path: path ?? '' },
      },
    ],
  });
}

/** An expression that cannot be evaluated. Becomes a `templateError` where it is known in which property it stands. */
export class ExpressionError extends Error {
  override readonly name = 'ExpressionError';
}
