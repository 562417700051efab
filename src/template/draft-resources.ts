/** The resources of a template with loops unrolled and conditions decided, before it is known what depends on what. */
import { isObject, member, textOf, type Json, type JsonObject } from '../core/json.ts';
import {
  formatResourceId,
  isResourceName,
  keyOf,
  resourceNameRule,
  shownName,
  type ResourceId,
  type ResourceKey,
} from '../core/resource-id.ts';
import { batchSizeOf, countOf, evaluateWithCopies } from './copies.ts';
import { evaluateValue, NeedsRuntime, type Environment, type RuntimeNeed } from './evaluate.ts';
import { languageFunctions } from './functions/index.ts';
import { located } from './located.ts';
import type { ResourceDeclaration, Template } from './read-template.ts';
import { ExpressionError, templateError } from './template-error.ts';
import type { ExpansionContext } from './template-scope.ts';

/** A resource as far as it is known without what it depends on. */
export interface Draft {
  id: ResourceId;
  key: ResourceKey;
  type: string;
  name: string;
  apiVersion: string;
  deployed: boolean;
  declaration: ResourceDeclaration;
  environment: Environment;
  /** Name of the loop that it came from. */
  loop: string | undefined;
  /** Position in a serial loop, and how many go at once. */
  serial: { index: number; batch: number } | undefined;
  parent: ResourceKey | undefined;
}

const mostResources = 800;

/** The drafts of one declaration, its loop unrolled, with those of its nested children. */
export function draftsOf(
  template: Template,
  declaration: ResourceDeclaration,
  environment: Environment,
  context: ExpansionContext,
  parent: Draft | undefined,
): Draft[] {
  return located(template, declaration.path, () => {
    const loop = member(declaration.body, 'copy');
    if (!isObject(loop))
      return draftWithChildren(template, declaration, environment, context, parent, undefined, undefined);
    const name = textOf(evaluateValue(member(loop, 'name') ?? '', environment, languageFunctions));
    const count = countOf(loop, environment);
    const mode = textOf(member(loop, 'mode') ?? 'parallel').toLowerCase();
    if (mode !== 'serial' && mode !== 'parallel')
      throw new ExpressionError(
        `The mode of the template copy '${name}' must be 'serial' or 'parallel', not '${mode}'`,
      );
    const batch = batchSizeOf(loop, count, environment);
    const drafts: Draft[] = [];
    for (let index = 0; index < count; index += 1) {
      const copyIndex = new Map([...environment.copyIndex, ['', index] as const, [name.toLowerCase(), index] as const]);
      const made = draftWithChildren(
        template,
        declaration,
        { ...environment, copyIndex },
        context,
        parent,
        name,
        mode === 'serial' ? { index, batch } : undefined,
      );
      addDrafts(template, declaration, drafts, made);
    }
    return drafts;
  });
}

/** Adds drafts to others as long as they are not too many: loops in loops would fill the memory otherwise. */
export function addDrafts(
  template: Template,
  declaration: ResourceDeclaration,
  drafts: Draft[],
  more: readonly Draft[],
): void {
  if (drafts.length + more.length > mostResources) {
    throw templateError(
      `The number of template resources limit exceeded. Limit: '${mostResources}' and actual: more than that, with loops unrolled`,
      template.located.locate(declaration.path),
      declaration.path.join('.'),
    );
  }
  drafts.push(...more);
}

function draftWithChildren(
  template: Template,
  declaration: ResourceDeclaration,
  environment: Environment,
  context: ExpansionContext,
  parent: Draft | undefined,
  loop: string | undefined,
  serial: Draft['serial'],
): Draft[] {
  const text = (name: string) => {
    const value = evaluateValue(
      member(declaration.body, name) ?? '',
      { ...environment, runtime: notHere },
      languageFunctions,
    );
    if (typeof value !== 'string') throw new ExpressionError(`The '${name}' of a resource must be a string`);
    return value;
  };
  const ownType = text('type');
  const ownName = text('name');
  const type =
    parent === undefined || ownType.toLowerCase().startsWith(`${parent.type.toLowerCase()}/`)
      ? ownType
      : `${parent.type}/${ownType}`;
  const names = (parent === undefined || type === ownType ? ownName : `${parent.name}/${ownName}`).split('/');
  if (!type.includes('/') || type.split('/').length - 1 !== names.length || names.some((one) => one === '')) {
    throw new ExpressionError(
      `The template resource '${ownName}' for type '${type}' has incorrect segment lengths. A nested resource type must have identical number of segments as its resource name. A root resource type must have segment length one greater than its resource name. Please see https://aka.ms/arm-syntax-resources for usage details`,
    );
  }
  const bad = names.find((one) => !isResourceName(one));
  if (bad !== undefined) {
    throw new ExpressionError(
      `The template resource '${shownName(ownName)}' for type '${type}' has a name that is not valid: ${resourceNameRule}. Please see https://aka.ms/arm-syntax-resources for usage details`,
    );
  }
  const group =
    member(declaration.body, 'resourceGroup') === undefined ? context.resourceGroup.name : text('resourceGroup');
  if (group.toLowerCase() !== context.resourceGroup.name.toLowerCase())
    throw new ExpressionError(
      `The resource '${ownName}' is for another resource group ('${group}'), which is not supported here`,
    );
  const id = formatResourceId({
    subscriptionId: context.subscription.subscriptionId,
    resourceGroup: context.resourceGroup.name,
    type,
    names,
  });
  const condition = member(declaration.body, 'condition');
  const decided =
    condition === undefined ? true : evaluateValue(condition, { ...environment, runtime: notHere }, languageFunctions);
  if (typeof decided !== 'boolean')
    throw new ExpressionError(`The condition of the resource '${ownName}' must be true or false`);
  const deployed = decided && member(declaration.body, 'existing') !== true && (parent?.deployed ?? true);
  const draft: Draft = {
    id,
    key: keyOf(id),
    type,
    name: names.join('/'),
    apiVersion: text('apiVersion'),
    deployed,
    declaration,
    environment,
    loop,
    serial,
    parent: parent?.key,
  };
  const children = member(declaration.body, 'resources');
  const nested = Array.isArray(children) ? children : [];
  return [
    draft,
    ...nested.flatMap((child, index) =>
      isObject(child)
        ? draftsOf(
            template,
            { symbol: undefined, body: child, path: [...declaration.path, 'resources', index] },
            environment,
            context,
            draft,
          )
        : [],
    ),
  ];
}

/** The runtime of names, conditions and counts: they may not need what is known at run time only. */
export const notHere: (need: RuntimeNeed) => never = (need) => {
  throw new ExpressionError(
    `The template function '${need.kind}' is not expected at this location: it is known at run time only. Please see https://aka.ms/arm-functions for usage details`,
  );
};

const notPartOfBody = new Set([
  'type',
  'name',
  'apiversion',
  'dependson',
  'condition',
  'copy',
  'resources',
  'comments',
  'existing',
  'scope',
  'metadata',
  'resourcegroup',
]);

/** The body to PUT: all that is not the template language's own, evaluated. */
export function bodyOf(draft: Draft, environment: Environment): JsonObject {
  const own = Object.fromEntries(
    Object.entries(draft.declaration.body).filter(([name]) => !notPartOfBody.has(name.toLowerCase())),
  );
  const properties = member(own, 'properties');
  // A nested deployment of inner scope has expressions of its own.
  if (draft.type.toLowerCase() === 'microsoft.resources/deployments' && isObject(properties)) {
    const inner = member(member(properties, 'expressionEvaluationOptions'), 'scope');
    if (typeof inner === 'string' && inner.toLowerCase() === 'inner') {
      const { template, ...rest } = properties;
      const evaluated = evaluateWithCopies({ ...own, properties: rest }, environment) as JsonObject; // an object stays one
      return {
        ...evaluated,
        properties: { ...(isObject(evaluated['properties']) ? evaluated['properties'] : {}), template: template ?? {} },
      };
    }
  }
  return evaluateWithCopies(own, environment) as JsonObject; // an object stays one
}

/** What of a body can be told before anything is deployed: members that need a deployed resource are left out. */
export function knownPartOf(draft: Draft, environment: Environment): JsonObject {
  // A nested deployment of inner scope has expressions of its own; it is checked when it begins.
  if (draft.type.toLowerCase() === 'microsoft.resources/deployments') return {};
  const known = (value: Json): Json | undefined => {
    try {
      return isObject(value)
        ? evaluateWithCopies(value, environment)
        : evaluateValue(value, environment, languageFunctions);
    } catch (error) {
      if (!(error instanceof NeedsRuntime)) throw error;
      if (!isObject(value)) return undefined;
      const members = Object.entries(value).filter(([name]) => name !== 'copy');
      return Object.fromEntries(
        members.flatMap(([name, inner]) => {
          const part = known(inner);
          return part === undefined ? [] : [[name, part] as const];
        }),
      );
    }
  };
  const own = Object.entries(draft.declaration.body).filter(([name]) => !notPartOfBody.has(name.toLowerCase()));
  return known(Object.fromEntries(own)) as JsonObject; // an object stays one
}

/** The id of a resource of the template by its symbol or name; undefined where there is none. */
export function idOfName(drafts: readonly Draft[], name: string): string | undefined {
  const wanted = name.toLowerCase();
  return drafts.find(
    (draft) =>
      draft.declaration.symbol?.toLowerCase() === wanted ||
      draft.name.toLowerCase() === wanted ||
      draft.name.split('/').at(-1)?.toLowerCase() === wanted,
  )?.id;
}
