/**
 * A template with its parameters, made into resources: loops unrolled, conditions decided, expressions evaluated, the
 * order known. What only a deployed resource can tell (`reference`, `list*`) stays open until it has been deployed.
 */
import { isObject, member, textOf, type Json, type JsonObject } from '../core/json.ts';
import { formatResourceId, keyOf, tryParseResourceId, type ResourceId, type ResourceKey } from '../core/resource-id.ts';
import { createBudget } from './budget.ts';
import { bindParameters, isSecure, type BoundParameters } from './bind-parameters.ts';
import {
  evaluateExpression,
  evaluateValue,
  NeedsRuntime,
  type Environment,
  type RuntimeNeed,
  type Scope,
} from './evaluate.ts';
import { isExpression, parseExpression, type Expression } from './expression.ts';
import { languageFunctions } from './functions/index.ts';
import { orderResources } from './order-resources.ts';
import { readTemplate, type ResourceDeclaration, type Template } from './read-template.ts';
import { ExpressionError, templateError } from './template-error.ts';
import { PoolhouseError } from '../core/errors.ts';

/** Where a template is deployed to, and what decides its result besides template and parameters. */
export interface ExpansionContext {
  subscription: { subscriptionId: string; tenantId: string; displayName: string };
  resourceGroup: { id: string; name: string; location: string; tags: JsonObject };
  deploymentName: string;
  environment: JsonObject;
  now: number;
  newGuid(): string;
}

export type Runtime = (need: RuntimeNeed) => Json;

export interface ExpandedResource {
  id: ResourceId;
  key: ResourceKey;
  type: string;
  apiVersion: string;
  dependsOn: ResourceKey[];
  /** The body to PUT; undefined while it needs what only deployed resources can tell. */
  body: JsonObject | undefined;
  /** The body, with a runtime that may throw `NeedsRuntime` for what it does not know yet. */
  resolve(runtime: Runtime): JsonObject;
}

export interface Expansion {
  resources: ExpandedResource[];
  parameters: BoundParameters;
  resolveOutputs(runtime: Runtime): JsonObject;
}

interface Draft {
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

const unknownRuntime: Runtime = (need) => {
  throw new NeedsRuntime(need);
};

export function expandTemplate(text: string, supplied: JsonObject, context: ExpansionContext): Expansion {
  const template = readTemplate(text);
  const scope = scopeOf(context);
  const parameters = bindParameters(template, supplied, (value, valueOf) =>
    located(template, ['parameters'], () =>
      evaluateValue(
        value,
        { ...bare(scope, template), parameter: valueOf, scope: { ...scope, inDefaults: true } },
        languageFunctions,
      ),
    ),
  );
  const drafts: Draft[] = [];
  const environment = environmentOf(template, parameters, { ...scope, idOfName: (name) => idOfName(drafts, name) });

  for (const declaration of template.resources)
    addDrafts(template, declaration, drafts, draftsOf(template, declaration, environment, context, undefined));
  const byKey = new Map<string, Draft>();
  for (const draft of drafts.filter((one) => one.deployed)) {
    if (byKey.has(draft.key)) {
      throw templateError(
        `The resource '${draft.id}' at line '${template.located.locate(draft.declaration.path)?.line ?? 0}' and column '${template.located.locate(draft.declaration.path)?.column ?? 0}' is defined multiple times in a template. Please see https://aka.ms/arm-syntax-resources for usage details.`,
        template.located.locate(draft.declaration.path),
      );
    }
    byKey.set(draft.key, draft);
  }

  const resolve = (draft: Draft, runtime: Runtime) =>
    located(template, draft.declaration.path, () => bodyOf(draft, { ...draft.environment, runtime }));
  const resources = [...byKey.values()].map((draft) => {
    const body = attempt(() => resolve(draft, unknownRuntime));
    return {
      draft,
      body,
      explicit: dependenciesOf(template, draft, drafts),
      implied: located(template, draft.declaration.path, () => impliedBy(draft, body, byKey)),
    };
  });
  const ordered = orderResources(
    resources.map(({ draft, explicit, implied }) => ({ key: draft.key, name: draft.name, explicit, implied })),
  );

  return {
    parameters,
    resources: resources.map(({ draft, body }) => ({
      id: draft.id,
      key: draft.key,
      type: draft.type,
      apiVersion: draft.apiVersion,
      dependsOn: (ordered.get(draft.key) ?? []) as ResourceKey[], // the keys of these same drafts
      body,
      resolve: (runtime) => resolve(draft, runtime),
    })),
    resolveOutputs: (runtime) => outputsOf(template, { ...environment, runtime }),
  };
}

function scopeOf(context: ExpansionContext): Scope {
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

function bare(scope: Scope, template: Template): Environment {
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

function environmentOf(template: Template, parameters: BoundParameters, scope: Scope): Environment {
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

/** Evaluates a value in which `copy` arrays make lists of properties. */
function evaluateWithCopies(value: Json, environment: Environment): Json {
  return environment.scope.budget.sized(withCopies(value, environment));
}

function withCopies(value: Json, environment: Environment): Json {
  environment.scope.budget.spend();
  if (Array.isArray(value)) return value.map((inner) => evaluateWithCopies(inner, environment));
  if (!isObject(value)) return evaluateValue(value, environment, languageFunctions);
  const { copy, ...others } = value;
  const loops = Array.isArray(copy) ? copy.filter(isObject) : [];
  if (loops.length === 0) {
    return Object.fromEntries(
      Object.entries(value).map(([name, inner]) => [
        textOf(evaluateValue(name, environment, languageFunctions)),
        evaluateWithCopies(inner, environment),
      ]),
    );
  }
  return {
    ...(evaluateWithCopies(others, environment) as JsonObject), // an object stays one
    ...Object.fromEntries(loops.map((loop) => [textOf(member(loop, 'name')), itemsOf(loop, environment)])),
  };
}

/** What a loop of a property, a variable or an output makes: its `input`, `count` times. */
function itemsOf(loop: JsonObject, environment: Environment): Json[] {
  const name = textOf(member(loop, 'name')).toLowerCase();
  return Array.from({ length: countOf(loop, environment) }, (_, index) => {
    const copyIndex = new Map([
      ...environment.copyIndex,
      [name, index] as const,
      ...(environment.copyIndex.has('') ? [] : [['', index] as const]),
    ]);
    return evaluateWithCopies(member(loop, 'input') ?? null, { ...environment, copyIndex });
  });
}

const mostCopies = 800;
const mostResources = 800;

function countOf(loop: JsonObject, environment: Environment): number {
  const count = evaluateValue(member(loop, 'count') ?? 0, environment, languageFunctions);
  if (typeof count !== 'number' || !Number.isInteger(count) || count < 0 || count > mostCopies) {
    throw new ExpressionError(
      `The template copy count must be an integer from 0 to ${mostCopies}, not '${JSON.stringify(count)}'`,
    );
  }
  return count;
}

function draftsOf(
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
    const serial = textOf(member(loop, 'mode')).toLowerCase() === 'serial';
    const batch = Number(member(loop, 'batchSize') ?? 1) || 1;
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
        serial ? { index, batch } : undefined,
      );
      addDrafts(template, declaration, drafts, made);
    }
    return drafts;
  });
}

/** Adds drafts to others as long as they are not too many: loops in loops would fill the memory otherwise. */
function addDrafts(
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

const notHere: Runtime = (need) => {
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

function bodyOf(draft: Draft, environment: Environment): JsonObject {
  const own: JsonObject = {};
  for (const [name, value] of Object.entries(draft.declaration.body))
    if (!notPartOfBody.has(name.toLowerCase())) own[name] = value;
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

/** What the body says, or undefined where it needs the runtime. */
function attempt(work: () => JsonObject): JsonObject | undefined {
  try {
    return work();
  } catch (error) {
    if (error instanceof NeedsRuntime) return undefined;
    throw error;
  }
}

function idOfName(drafts: readonly Draft[], name: string): string | undefined {
  const wanted = name.toLowerCase();
  return drafts.find(
    (draft) =>
      draft.declaration.symbol?.toLowerCase() === wanted ||
      draft.name.toLowerCase() === wanted ||
      draft.name.split('/').at(-1)?.toLowerCase() === wanted,
  )?.id;
}

/** The `dependsOn` of a resource, as keys. Names, ids, loops and symbols all serve. */
function dependenciesOf(template: Template, draft: Draft, drafts: readonly Draft[]): string[] {
  const path = [...draft.declaration.path, 'dependsOn'];
  const asked = located(template, path, () =>
    evaluateValue(
      member(draft.declaration.body, 'dependsOn') ?? [],
      { ...draft.environment, runtime: notHere },
      languageFunctions,
    ),
  );
  if (!Array.isArray(asked))
    throw templateError(`The 'dependsOn' of '${draft.name}' must be an array`, template.located.locate(path));
  const keys = asked.flatMap((entry, index) => {
    const found = dependency(textOf(entry), drafts);
    if (found === undefined) {
      throw templateError(
        `The resource '${textOf(entry)}' is not defined in the template. Please see https://aka.ms/arm-template for usage details.`,
        template.located.locate([...path, index]) ?? template.located.locate(draft.declaration.path),
        path.join('.'),
      );
    }
    if (found.length === 1 && found[0] === draft.key) {
      throw templateError(
        `Circular dependency detected on resource: '${draft.id}'. It depends on itself. Please see https://aka.ms/arm-syntax-resources for usage details.`,
        template.located.locate([...path, index]),
        path.join('.'),
      );
    }
    return found;
  });
  if (draft.parent !== undefined) keys.push(draft.parent);
  if (draft.serial !== undefined) {
    const { index, batch } = draft.serial;
    const earlier = Math.floor(index / batch) * batch;
    keys.push(
      ...drafts
        .filter(
          (other) =>
            other.loop === draft.loop &&
            other.serial !== undefined &&
            other.serial.index < earlier &&
            other.serial.index >= earlier - batch,
        )
        .map((other) => other.key),
    );
  }
  return [...new Set(keys)].filter(
    (key) => key !== draft.key && drafts.some((other) => other.key === key && other.deployed),
  );
}

function dependency(entry: string, drafts: readonly Draft[]): string[] | undefined {
  const wanted = entry.toLowerCase().replace(/\/+$/, '');
  const fits = (draft: Draft) => {
    if (draft.key === wanted) return true;
    const names = draft.name.toLowerCase();
    const type = draft.type.toLowerCase();
    const [namespace = '', ...types] = type.split('/');
    const interleaved = [namespace, ...types.flatMap((one, index) => [one, names.split('/')[index] ?? ''])].join('/');
    return (
      wanted === `${type}/${names}` ||
      wanted === interleaved ||
      wanted === names ||
      wanted === draft.declaration.symbol?.toLowerCase()
    );
  };
  const found = drafts.filter(fits);
  if (found.length > 0) return found.map((draft) => draft.key);
  const loop = drafts.filter((draft) => draft.loop?.toLowerCase() === wanted);
  if (loop.length > 0) return loop.map((draft) => draft.key);
  const last = drafts.filter((draft) => draft.name.split('/').at(-1)?.toLowerCase() === wanted);
  return last.length > 0 ? last.map((draft) => draft.key) : undefined;
}

/**
 * Resources that a body speaks of, although it does not say that it depends on them: ids in it, and what `reference`
 * and `list*` ask for. The published cluster template leaves out that its scale set needs its network.
 */
function impliedBy(draft: Draft, body: JsonObject | undefined, byKey: ReadonlyMap<string, Draft>): string[] {
  const found = new Set<string>();
  const take = (id: string) => {
    let path = tryParseResourceId(id);
    while (path !== undefined) {
      const key = keyOf(formatResourceId(path));
      if (key !== draft.key && byKey.has(key)) found.add(key);
      if (path.names.length < 2) return;
      path = { ...path, type: path.type.split('/').slice(0, -1).join('/'), names: path.names.slice(0, -1) };
    }
  };
  const walk = (value: Json): void => {
    if (typeof value === 'string') {
      if (value.startsWith('/subscriptions/')) take(value);
    } else if (Array.isArray(value)) value.forEach(walk);
    else if (isObject(value)) Object.values(value).forEach(walk);
  };
  if (body !== undefined) walk(body);
  else
    for (const text of expressionsIn(draft.declaration.body))
      for (const id of idsAskedFor(parseExpression(text), draft.environment)) take(id);
  return [...found];
}

function expressionsIn(value: Json): string[] {
  if (typeof value === 'string') return isExpression(value) ? [value] : [];
  if (Array.isArray(value)) return value.flatMap(expressionsIn);
  return isObject(value) ? Object.values(value).flatMap(expressionsIn) : [];
}

/** Every id that an expression's parts give, each evaluated by itself: what cannot be is passed over. */
function idsAskedFor(expression: Expression, environment: Environment): string[] {
  const needs: string[] = [];
  const visit = (inner: Expression): void => {
    if (inner.kind === 'property') visit(inner.of);
    if (inner.kind === 'index') [inner.of, inner.index].forEach(visit);
    if (inner.kind !== 'call') return;
    inner.args.forEach(visit);
    try {
      const value =
        languageFunctions.get(inner.name.toLowerCase()) === undefined && !inner.name.toLowerCase().startsWith('list')
          ? ''
          : evaluateCall(inner, environment);
      if (typeof value === 'string' && value.startsWith('/subscriptions/')) needs.push(value);
    } catch (error) {
      if (error instanceof NeedsRuntime) needs.push(error.need.id);
    }
  };
  visit(expression);
  return needs;
}

function evaluateCall(expression: Expression, environment: Environment): Json {
  return evaluateExpression(expression, { ...environment, runtime: unknownRuntime }, languageFunctions);
}

function outputsOf(template: Template, environment: Environment): JsonObject {
  const result: JsonObject = {};
  for (const [name, declaration] of Object.entries(template.outputs)) {
    const path = ['outputs', name];
    located(template, path, () => {
      if (!isObject(declaration)) throw new ExpressionError(`The output '${name}' must be an object`);
      const condition = member(declaration, 'condition');
      if (condition !== undefined && evaluateValue(condition, environment, languageFunctions) === false) return;
      const type = textOf(member(declaration, 'type') ?? 'string');
      const loop = member(declaration, 'copy');
      const value = isObject(loop)
        ? itemsOf(loop, environment)
        : evaluateValue(member(declaration, 'value') ?? null, environment, languageFunctions);
      const secure = isSecure(
        type.toLowerCase() === 'securestring'
          ? 'securestring'
          : type.toLowerCase() === 'secureobject'
            ? 'secureobject'
            : 'string',
      );
      result[name] = secure ? { type } : { type: type.charAt(0).toUpperCase() + type.slice(1), value };
    });
  }
  return result;
}

/** Gives an expression's error the place where it stands. */
function located<T>(template: Template, path: (string | number)[], work: () => T): T {
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
