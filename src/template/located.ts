import { PoolhouseError } from '../core/errors.ts';
import type { Template } from './read-template.ts';
import { ExpressionError, templateError } from './template-error.ts';

/** Gives an expression's error the place where it stands. */
export function located<T>(template: Template, path: (string | number)[], work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof ExpressionError) {
      const at = template.located.locate(path);
      throw templateError(
        at === undefined ? error.message : `${error.message}' at line '${at.line}' and column '${at.column}`,
        at,
        path.join('.'),
      );
    }
    if (error instanceof RangeError)
      throw new PoolhouseError(
        'InvalidTemplate',
        `Deployment template validation failed: 'the template is too large or nests too deep'.`,
        { cause: error },
      );
    throw error;
  }
}
