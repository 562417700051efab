import type { FunctionTable } from '../evaluate.ts';
import { arraysAndObjects } from './arrays-and-objects.ts';
import { cidr } from './cidr.ts';
import { dates } from './dates.ts';
import { deploymentFunctions } from './deployment.ts';
import { lambdas } from './lambdas.ts';
import { logicAndNumbers } from './logic-and-numbers.ts';
import { strings } from './strings.ts';

/** Every function of the language, by its name in lower case. */
export const languageFunctions: FunctionTable = new Map(
  Object.entries({
    ...arraysAndObjects,
    ...cidr,
    ...dates,
    ...deploymentFunctions,
    ...lambdas,
    ...logicAndNumbers,
    ...strings,
  }),
);
