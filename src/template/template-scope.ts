/** What the expressions of a template see: the place that it is deployed to, its parameters, its variables. */
import { isObject, member, textOf, type Json, type JsonObject } from '../core/json.ts';
import type { BoundParameters } from './bind-parameters.ts';
import { createBudget } from './budget.ts';
import { evaluateWithCopies, itemsOf } from './copies.ts';
import type { Environment, Scope } from './evaluate.ts';
import type { Template } from './read-template.ts';
import { ExpressionError } from './template-error.ts';

/** Where a template is deployed to, and what decides its result besides template and parameters. */
export interface ExpansionContext {
  subscription: { subscriptionId: string; tenantId: string; displayName: string };
  resourceGroup: { id: string; name: string; location: string; tags: JsonObject };
  deploymentName: string;
  environment: JsonObject;
  /** What the deployment around knows as secret: no error of this one shows it. */
  secretValues: readonly string[];
  now: number;
  newGuid(): string;
}

/** What functions know of the place, and the budget of this one expansion. */
export function scopeOf(context: ExpansionContext): Scope {
  const { subscription, resourceGroup } = context;
  return {
    subscription: { id: `/subscriptions/${subscription.subscriptionId}`, ...subscription },
    tenant: { tenantId: subscription.tenantId, countryCode: '', displayName: '' },
    resourceGroup: {
      ...resourceGroup,
      type: 'Microsoft.Resources/resourceGroups',
      properties: { provisioningState: 'Succeeded' },
    },
    deployment: { name: context.deploymentName, properties: { mode: 'Incremental', provisioningState: 'Accepted' } },
    environment: context.environment,
    budget: createBudget(),
    now: context.now,
    newGuid: () => context.newGuid(),
    idOfName: () => undefined,
    inDefaults: false,
  };
}

/** An environment in which there are neither variables nor a runtime: that of parameter defaults. */
export function bare(scope: Scope, template: Template): Environment {
  return {
    parameter: () => null,
    variable: (name) => {
      throw new ExpressionError(`The default value of a parameter cannot use variables ('${name}')`);
    },
    scope,
    copyIndex: new Map(),
    lambda: new Map(),
    userFunction: (namespace, name) => template.functions.get(`${namespace}.${name}`.toLowerCase()),
    runtime: (need) => {
      throw new ExpressionError(`The template function '${need.kind}' is not expected at this location`);
    },
  };
}

/** An environment with parameters and variables; each variable is evaluated when it is first asked for. */
export function environmentOf(template: Template, parameters: BoundParameters, scope: Scope): Environment {
  const values = new Map<string, Json>();
  const underWay = new Set<string>();
  const environment: Environment = {
    ...bare(scope, template),
    parameter: (name) => {
      const value = parameters.values.get(name.toLowerCase());
      if (value === undefined)
        throw new ExpressionError(
          `The template parameter '${name}' is not found. Please see https://aka.ms/arm-syntax-parameters for usage details`,
        );
      return value;
    },
    variable: (name) => {
      const key = name.toLowerCase();
      const known = values.get(key);
      if (known !== undefined) return known;
      if (underWay.has(key)) throw new ExpressionError(`The template variable '${name}' depends on itself`);
      underWay.add(key);
      const evaluated = variableOf(template, name, environment);
      underWay.delete(key);
      values.set(key, evaluated);
      return evaluated;
    },
  };
  return environment;
}

function variableOf(template: Template, name: string, environment: Environment): Json {
  const value = member(template.variables, name);
  if (value !== undefined && name.toLowerCase() !== 'copy') return evaluateWithCopies(value, environment);
  const copies = member(template.variables, 'copy');
  const loop = Array.isArray(copies)
    ? copies.find((one) => textOf(member(one, 'name')).toLowerCase() === name.toLowerCase())
    : undefined;
  if (loop === undefined)
    throw new ExpressionError(
      `The template variable '${name}' is not found. Please see https://aka.ms/arm-syntax-variables for usage details`,
    );
  return isObject(loop) ? itemsOf(loop, environment) : [];
}
