/**
 * Names of functions, checked before anything is deployed. Much of a template is evaluated late: an output, or what
 * stands beside a `reference`, only when the resources are there. What is misspelled should not wait so long.
 */
import { isObject, textOf, type Json } from '../core/json.ts';
import { isExpression, parseExpression, type Expression } from './expression.ts';
import { isRuntimeList, unknownFunction, type FunctionTable } from './evaluate.ts';
import { located } from './located.ts';
import type { Template } from './read-template.ts';

/** What people write to each other in a template: `[optional]` is no expression there. */
const notEvaluated = new Set(['metadata', 'comments']);

/** Parses every expression of variables, resources and outputs; `InvalidTemplate` names the first that cannot work. */
export function checkFunctions(template: Template, functions: FunctionTable): void {
  const visit = (value: Json, path: (string | number)[]): void => {
    if (typeof value === 'string') {
      if (isExpression(value)) located(template, path, () => checkCalls(parseExpression(value), template, functions));
    } else if (Array.isArray(value)) value.forEach((inner, index) => visit(inner, [...path, index]));
    else if (isObject(value)) {
      for (const [name, inner] of Object.entries(value))
        if (!notEvaluated.has(name.toLowerCase())) visit(inner, [...path, name]);
    }
  };
  visit(template.variables, ['variables']);
  for (const { body, path } of template.resources) if (!isNested(body)) visit(body, path);
  visit(template.outputs, ['outputs']);
}

/** A deployment in a template holds a template with functions of its own. */
function isNested(body: Json): boolean {
  return isObject(body) && textOf(body['type']).toLowerCase() === 'microsoft.resources/deployments';
}

function checkCalls(expression: Expression, template: Template, functions: FunctionTable): void {
  if (expression.kind === 'property') checkCalls(expression.of, template, functions);
  if (expression.kind === 'index') {
    checkCalls(expression.of, template, functions);
    checkCalls(expression.index, template, functions);
  }
  if (expression.kind !== 'call') return;
  const { namespace, name, args } = expression;
  const known =
    namespace === undefined
      ? functions.has(name.toLowerCase()) || isRuntimeList(name.toLowerCase())
      : template.functions.has(`${namespace}.${name}`.toLowerCase());
  if (!known) throw unknownFunction(namespace === undefined ? name : `${namespace}.${name}`);
  for (const argument of args) checkCalls(argument, template, functions);
}
