/** The shape of a template, checked. What it holds is still full of expressions. */
import { dig, isObject, member, textOf, type Json, type JsonObject } from '../core/json.ts';
import { PoolhouseError } from '../core/errors.ts';
import { parseLenient, type LocatedJson } from './parse-lenient.ts';
import { templateError } from './template-error.ts';

export type ParameterType = 'string' | 'securestring' | 'int' | 'bool' | 'object' | 'secureobject' | 'array';

export interface ParameterDeclaration {
  name: string;
  type: ParameterType;
  defaultValue: Json | undefined;
  /** It may be left out, and is null then. */
  nullable: boolean;
  allowedValues: Json[] | undefined;
  minLength: number | undefined;
  maxLength: number | undefined;
  minValue: number | undefined;
  maxValue: number | undefined;
}

export interface ResourceDeclaration {
  /** Symbolic name of language version 2.0. */
  symbol: string | undefined;
  body: JsonObject;
  path: (string | number)[];
}

export interface Template {
  located: LocatedJson;
  parameters: ParameterDeclaration[];
  variables: JsonObject;
  resources: ResourceDeclaration[];
  outputs: JsonObject;
  /** By `namespace.name` in lower case. */
  functions: Map<string, { parameters: string[]; output: Json }>;
}

const limits = { parameters: 256, variables: 256, resources: 800, outputs: 64 };
const types: readonly ParameterType[] = ['string', 'securestring', 'int', 'bool', 'object', 'secureobject', 'array'];

export function readTemplate(text: string): Template {
  let located: LocatedJson;
  try {
    located = parseLenient(text);
  } catch (error) {
    if (!(error instanceof PoolhouseError)) throw error;
    throw new PoolhouseError('InvalidTemplate', `Deployment template parse failed: '${error.message}'.`, {
      cause: error,
    });
  }
  const template = located.value;
  if (!isObject(template)) throw templateError('the template must be a JSON object', located.locate([]));
  for (const name of ['$schema', 'contentVersion', 'resources']) {
    if (member(template, name) === undefined && name !== '$schema')
      throw templateError(`Required property '${name}' not found in JSON`, located.locate([]));
  }
  return {
    located,
    parameters: Object.entries(section(located, template, 'parameters')).map(([name, declaration]) =>
      readParameter(located, name, declaration),
    ),
    variables: section(located, template, 'variables'),
    resources: readResources(located, member(template, 'resources') ?? []),
    outputs: section(located, template, 'outputs'),
    functions: readFunctions(located, member(template, 'functions') ?? []),
  };
}

function section(located: LocatedJson, template: JsonObject, name: keyof typeof limits): JsonObject {
  const value = member(template, name);
  if (value === undefined || value === null) return {};
  if (!isObject(value))
    throw templateError(`The '${name}' of the template must be an object`, located.locate([name]), name);
  tooMany(located, name, Object.keys(value).length);
  const twice = namedTwice(Object.keys(value));
  if (twice !== undefined)
    throw templateError(
      `The '${name}' of the template hold '${twice[0]}' and '${twice[1]}': names ignore case, so these are one and the same. Remove or rename one of them`,
      located.locate([name]),
      name,
    );
  return value;
}

/** Two names that differ in case only; undefined where there are none. */
export function namedTwice(names: readonly string[]): [string, string] | undefined {
  const known = new Map<string, string>();
  for (const name of names) {
    const before = known.get(name.toLowerCase());
    if (before !== undefined) return [before, name];
    known.set(name.toLowerCase(), name);
  }
  return undefined;
}

function tooMany(located: LocatedJson, name: keyof typeof limits, count: number): void {
  if (count > limits[name]) {
    throw templateError(
      `The number of template ${name} limit exceeded. Limit: '${limits[name]}' and actual: '${count}'`,
      located.locate([name]),
      name,
    );
  }
}

function readParameter(located: LocatedJson, name: string, declaration: Json): ParameterDeclaration {
  const at = located.locate(['parameters', name]);
  const path = `parameters.${name}`;
  if (!isObject(declaration)) throw templateError(`The template parameter '${name}' must be an object`, at, path);
  const type = member(declaration, 'type');
  const known = types.find((one) => typeof type === 'string' && one === type.toLowerCase());
  if (known === undefined) {
    throw templateError(
      `The template parameter '${name}' has no valid type: one of string, securestring, int, bool, object, secureObject, array is expected`,
      at,
      path,
    );
  }
  const number = (key: string) => {
    const value = member(declaration, key);
    return typeof value === 'number' ? value : undefined;
  };
  const allowed = member(declaration, 'allowedValues');
  return {
    name,
    type: known,
    defaultValue: member(declaration, 'defaultValue'),
    nullable: member(declaration, 'nullable') === true,
    allowedValues: Array.isArray(allowed) ? allowed : undefined,
    minLength: number('minLength'),
    maxLength: number('maxLength'),
    minValue: number('minValue'),
    maxValue: number('maxValue'),
  };
}

function readResources(located: LocatedJson, value: Json): ResourceDeclaration[] {
  const entries: [string | undefined, Json, (string | number)[]][] = Array.isArray(value)
    ? value.map((body, index) => [undefined, body, ['resources', index]])
    : isObject(value)
      ? Object.entries(value).map(([symbol, body]) => [symbol, body, ['resources', symbol]])
      : [];
  if (!Array.isArray(value) && !isObject(value))
    throw templateError(`The 'resources' of the template must be an array`, located.locate(['resources']), 'resources');
  tooMany(located, 'resources', entries.length);
  return entries.map(([symbol, body, path]) => {
    const at = located.locate(path);
    if (!isObject(body)) throw templateError(`Each resource of the template must be an object`, at, path.join('.'));
    for (const name of ['type', 'name', 'apiVersion']) {
      if (member(body, name) === undefined)
        throw templateError(
          `The resource at line '${at?.line ?? 0}' and column '${at?.column ?? 0}' has no '${name}'`,
          at,
          path.join('.'),
        );
    }
    return { symbol, body, path };
  });
}

function readFunctions(located: LocatedJson, value: Json): Template['functions'] {
  const result: Template['functions'] = new Map();
  if (!Array.isArray(value))
    throw templateError(`The 'functions' of the template must be an array`, located.locate(['functions']), 'functions');
  for (const group of value) {
    const namespace = member(group, 'namespace');
    const members = member(group, 'members');
    if (typeof namespace !== 'string' || !isObject(members)) continue;
    for (const [name, definition] of Object.entries(members)) {
      const parameters = dig(definition, 'parameters');
      const output = dig(definition, 'output', 'value');
      result.set(`${namespace}.${name}`.toLowerCase(), {
        parameters: Array.isArray(parameters)
          ? parameters.map((one) => textOf(member(one, 'name'))).filter((name) => name !== '')
          : [],
        output: output ?? null,
      });
    }
  }
  return result;
}
