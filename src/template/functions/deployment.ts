/** Functions that know the deployment: parameters, variables, scopes, ids, and what is known at run time only. */
import { textOf, type Json } from '../../core/json.ts';
import { formatResourceId } from '../../core/resource-id.ts';
import type { Call, LanguageFunction } from '../evaluate.ts';
import { ExpressionError } from '../template-error.ts';
import { all, text } from './arguments.ts';

function namesOf(call: Call, from: number): string[] {
  return Array.from({ length: call.count - from }, (_, index) => text(call, from + index));
}

function segments(call: Call, type: string, names: readonly string[]): string {
  // Published templates write 'Microsoft.Network/networkSecurityGroups/' too.
  const [namespace = '', ...types] = type.replace(/\/+$/, '').split('/');
  if (types.length !== names.length || types.length === 0) {
    throw new ExpressionError(
      `Unable to evaluate template language function '${call.name}': the type '${type}' requires '${types.length}' resource name argument(s), not '${names.length}'. Please see https://aka.ms/arm-functions for usage details`,
    );
  }
  return ['providers', namespace, ...types.flatMap((one, index) => [one, names[index] ?? ''])].join('/');
}

/** `resourceId([subscription], [group], type, names…)`: the type is the first argument with a slash. */
function resourceId(call: Call): string {
  const args = namesOf(call, 0);
  const at = args.findIndex((arg) => arg.includes('/'));
  if (at < 0 || at > 2)
    throw new ExpressionError(
      `Unable to evaluate template language function 'resourceId': a resource type such as 'Microsoft.Network/virtualNetworks' is expected. Please see https://aka.ms/arm-functions for usage details`,
    );
  const type = (args[at] ?? '').replace(/\/+$/, '');
  const { scope } = call.environment;
  const subscription = at === 2 ? (args[0] ?? '') : textOf(scope.subscription['subscriptionId']);
  const group = at >= 1 ? (args[at - 1] ?? '') : textOf(scope.resourceGroup['name']);
  const names = args.slice(at + 1);
  segments(call, type, names);
  return formatResourceId({ subscriptionId: subscription, resourceGroup: group, type, names });
}

/** A resource by its id, or by its name when it is of this template. */
function target(call: Call, reference: string): string {
  if (reference.startsWith('/')) return reference;
  const id = call.environment.scope.idOfName(reference);
  if (id === undefined)
    throw new ExpressionError(
      `The resource '${reference}' is not defined in the template. Please see https://aka.ms/arm-template for usage details`,
    );
  return id;
}

function runtimeList(call: Call): Json {
  const apiVersion = call.count > 1 ? text(call, 1) : undefined;
  return call.environment.runtime({ kind: call.name, id: target(call, text(call, 0)), apiVersion, full: false });
}

export const deploymentFunctions: Record<string, LanguageFunction> = {
  parameters: (call) => call.environment.parameter(text(call, 0)),
  variables: (call) => call.environment.variable(text(call, 0)),
  deployment: (call) => call.environment.scope.deployment,
  environment: (call) => call.environment.scope.environment,
  subscription: (call) => call.environment.scope.subscription,
  tenant: (call) => call.environment.scope.tenant,
  resourcegroup: (call) => call.environment.scope.resourceGroup,
  managementgroup: (call) => {
    throw new ExpressionError(
      `The template function '${call.name}' is not available here: deployments are made to resource groups`,
    );
  },
  newguid: (call) => {
    if (!call.environment.scope.inDefaults)
      throw new ExpressionError(
        `The function 'newGuid' is not expected at this location: it can be used in the default value of a parameter only`,
      );
    return call.environment.scope.newGuid();
  },
  copyindex: (call) => {
    const values = all(call);
    const name = typeof values[0] === 'string' ? values[0].toLowerCase() : '';
    const offset = values.find((value) => typeof value === 'number') ?? 0;
    const index = call.environment.copyIndex.get(name);
    if (index === undefined)
      throw new ExpressionError(
        `The template function 'copyIndex' is not expected at this location: it can be used in a resource, property, variable or output with 'copy' only`,
      );
    return index + (typeof offset === 'number' ? offset : 0);
  },
  resourceid: resourceId,
  subscriptionresourceid: (call) => {
    const args = namesOf(call, 0);
    const own =
      args[0]?.includes('/') === true
        ? textOf(call.environment.scope.subscription['subscriptionId'])
        : (args.shift() ?? '');
    return `/subscriptions/${own}/${segments(call, args[0] ?? '', args.slice(1))}`;
  },
  tenantresourceid: (call) => `/${segments(call, text(call, 0), namesOf(call, 1))}`,
  managementgroupresourceid: (call) =>
    `/providers/Microsoft.Management/managementGroups/${text(call, 0)}/${segments(call, text(call, 1), namesOf(call, 2))}`,
  extensionresourceid: (call) => `${text(call, 0)}/${segments(call, text(call, 1), namesOf(call, 2))}`,
  reference: (call) =>
    call.environment.runtime({
      kind: 'reference',
      id: target(call, text(call, 0)),
      apiVersion: call.count > 1 ? text(call, 1) : undefined,
      full: call.count > 2 && text(call, 2).toLowerCase() === 'full',
    }),
  references: (call) => {
    const ids = call.arg(0);
    if (!Array.isArray(ids))
      throw new ExpressionError(`The template function 'references' expects an array of resource ids`);
    return ids.map((id) =>
      call.environment.runtime({ kind: 'reference', id: target(call, textOf(id)), apiVersion: undefined, full: false }),
    );
  },
  'list*': runtimeList,
  providers: (call) => ({ namespace: text(call, 0), resourceTypes: [] }),
  pickzones: (call) => (call.count > 3 && call.arg(3) === 0 ? [] : ['1']),
};
