/** Values for a template's parameters: those supplied, checked by their rules, and defaults for the others. */
import { isObject, member, type Json, type JsonObject } from '../core/json.ts';
import { namedTwice, type ParameterDeclaration, type ParameterType, type Template } from './read-template.ts';
import { redactJson } from '../core/redact.ts';
import { isExpression } from './expression.ts';
import { same } from './functions/arguments.ts';
import { templateError } from './template-error.ts';

export interface BoundParameters {
  /** By name in lower case. */
  values: ReadonlyMap<string, Json>;
  /** Every string in a secure value: nothing that shows anything may contain them. */
  secretValues: string[];
  /** As a GET of the deployment shows them: secure ones without their value. */
  shown: JsonObject;
}

const typeNames: Record<ParameterType, string> = {
  string: 'String',
  securestring: 'SecureString',
  int: 'Int',
  bool: 'Bool',
  object: 'Object',
  secureobject: 'SecureObject',
  array: 'Array',
};
export const isSecure = (type: ParameterType) => type.startsWith('secure');

/**
 * @param supplied `{name: {value}}`, as parameter files have it; names ignore case
 * @param defaultOf evaluates a default, which may speak of other parameters
 */
export function bindParameters(
  template: Template,
  supplied: JsonObject,
  defaultOf: (value: Json, valueOf: (name: string) => Json) => Json,
): BoundParameters {
  const declared = new Map(template.parameters.map((parameter) => [parameter.name.toLowerCase(), parameter]));
  const superfluous = Object.keys(supplied).filter((name) => !declared.has(name.toLowerCase()));
  if (superfluous.length > 0) {
    const known = template.parameters.map((parameter) => parameter.name).join(', ');
    throw templateError(
      `The template parameters '${superfluous.join(', ')}' in the parameters file are not valid; they are not present in the original template and can therefore not be provided at deployment time. The only supported parameters for this template are '${known}'. Please see https://aka.ms/arm-pass-parameter-values for usage details.`,
    );
  }
  const twice = namedTwice(Object.keys(supplied));
  if (twice !== undefined) {
    throw templateError(
      `The parameters hold '${twice[0]}' and '${twice[1]}': names ignore case, so these are one and the same. Give one value only`,
    );
  }
  const values = new Map<string, Json>();
  const underWay = new Set<string>();

  function valueOf(name: string): Json {
    const key = name.toLowerCase();
    const ready = values.get(key);
    if (ready !== undefined) return ready;
    const parameter = declared.get(key);
    if (parameter === undefined) {
      throw templateError(
        `The template parameter '${name}' is not found. Please see https://aka.ms/arm-syntax-parameters for usage details.`,
      );
    }
    if (underWay.has(key))
      throw templateError(
        `The default value of the template parameter '${parameter.name}' depends on itself`,
        template.located.locate(['parameters', parameter.name]),
      );
    underWay.add(key);
    const value = check(
      template,
      parameter,
      given(parameter, supplied, (text) => defaultOf(text, valueOf), template),
    );
    underWay.delete(key);
    values.set(key, value);
    return value;
  }

  const missing = template.parameters.filter(
    (parameter) =>
      parameter.defaultValue === undefined && !parameter.nullable && suppliedValue(parameter, supplied) === undefined,
  );
  if (missing.length > 0) {
    const [first] = missing;
    throw templateError(
      `The value for the template parameter${missing.length > 1 ? 's' : ''} '${missing.map((parameter) => parameter.name).join(`', '`)}' at line '${template.located.locate(['parameters', first?.name ?? ''])?.line ?? 0}' and column '${template.located.locate(['parameters', first?.name ?? ''])?.column ?? 0}' is not provided. Please see https://aka.ms/arm-syntax-parameters for usage details.`,
      template.located.locate(['parameters', first?.name ?? '']),
      `properties.template.parameters.${first?.name ?? ''}`,
    );
  }
  for (const parameter of template.parameters) valueOf(parameter.name);

  const secretValues: string[] = [];
  const shown = new Map<string, Json>();
  for (const parameter of template.parameters) {
    const value = values.get(parameter.name.toLowerCase()) ?? null;
    const type = typeNames[parameter.type];
    shown.set(parameter.name, isSecure(parameter.type) ? { type } : { type, value });
    if (isSecure(parameter.type)) secretValues.push(...stringsIn(value));
  }
  // A parameter that is not secure may have a secure one in its default.
  return { values, secretValues, shown: redactJson(Object.fromEntries(shown), secretValues) as JsonObject }; // the walk keeps the shape
}

/** Every string that was supplied, or stands as default, for a secure parameter: known before anything can go wrong. */
export function suppliedSecrets(template: Template, supplied: JsonObject): string[] {
  return template.parameters
    .filter((parameter) => isSecure(parameter.type))
    .flatMap((parameter) => [member(supplied, parameter.name) ?? null, parameter.defaultValue ?? null])
    .flatMap(stringsIn)
    .filter((text) => !isExpression(text));
}

function suppliedValue(parameter: ParameterDeclaration, supplied: JsonObject): Json | undefined {
  const entry = member(supplied, parameter.name);
  if (entry === undefined) return undefined;
  const value = isObject(entry) ? member(entry, 'value') : undefined;
  return value;
}

function given(
  parameter: ParameterDeclaration,
  supplied: JsonObject,
  evaluate: (value: Json) => Json,
  template: Template,
): Json {
  const entry = member(supplied, parameter.name);
  if (isObject(entry) && member(entry, 'reference') !== undefined) {
    throw templateError(
      `The template parameter '${parameter.name}' refers to a key vault, which is not supported here: give its value instead`,
      template.located.locate(['parameters', parameter.name]),
    );
  }
  const value = suppliedValue(parameter, supplied);
  return value === undefined || (value === null && parameter.defaultValue !== undefined)
    ? evaluate(parameter.defaultValue ?? null)
    : value;
}

function check(template: Template, parameter: ParameterDeclaration, value: Json): Json {
  if (value === null && parameter.nullable) return null;
  const at = template.located.locate(['parameters', parameter.name]);
  const place = `at line '${at?.line ?? 0}' and column '${at?.column ?? 0}'`;
  const path = `properties.template.parameters.${parameter.name}`;
  const shown = isSecure(parameter.type)
    ? ''
    : `The provided value '${display(value)}' for the template parameter '${parameter.name}' ${place} is not valid. `;
  const subject = isSecure(parameter.type)
    ? `The provided value for the template parameter '${parameter.name}' ${place} is not valid. `
    : shown;
  const converted = convert(parameter.type, value);
  if (converted === undefined) {
    throw templateError(
      `Template parameter JToken type is not valid. Expected '${expectedTokens[parameter.type]}'. Actual '${tokenOf(value)}' for the parameter '${parameter.name}'. Please see https://aka.ms/resource-manager-parameter-files for usage details.`,
      at,
      path,
    );
  }
  const { allowedValues, minLength, maxLength, minValue, maxValue } = parameter;
  if (allowedValues !== undefined) {
    const parts =
      Array.isArray(converted) && !allowedValues.some((one) => same(one, converted)) ? converted : [converted];
    if (!parts.every((part) => allowedValues.some((one) => same(one, part)))) {
      throw templateError(
        `${subject}The parameter value is not part of the allowed value(s): '${allowedValues.map(display).join(',')}'.`,
        at,
        `${path}.allowedValues`,
      );
    }
  }
  const length = typeof converted === 'string' || Array.isArray(converted) ? converted.length : undefined;
  if (
    length !== undefined &&
    ((minLength !== undefined && length < minLength) || (maxLength !== undefined && length > maxLength))
  ) {
    const rule =
      minLength !== undefined && length < minLength
        ? `Length of the value should be greater than or equal to '${minLength}'`
        : `Length of the value should be less than or equal to '${maxLength ?? 0}'`;
    throw templateError(
      `${subject}${rule}. Please see https://aka.ms/arm-create-parameter-file for usage details.`,
      at,
      path,
    );
  }
  if (
    typeof converted === 'number' &&
    ((minValue !== undefined && converted < minValue) || (maxValue !== undefined && converted > maxValue))
  ) {
    const rule =
      minValue !== undefined && converted < minValue
        ? `greater than or equal to '${minValue}'`
        : `less than or equal to '${maxValue ?? 0}'`;
    throw templateError(
      `${subject}The value should be ${rule}. Please see https://aka.ms/arm-create-parameter-file for usage details.`,
      at,
      path,
    );
  }
  return converted;
}

const expectedTokens: Record<ParameterType, string> = {
  string: 'String, Uri',
  securestring: 'String, Uri',
  int: 'Integer',
  bool: 'Boolean',
  object: 'Object',
  secureobject: 'Object',
  array: 'Array',
};

/** The value as its type; numbers and booleans may come as text, as az sends inline ones. */
function convert(type: ParameterType, value: Json): Json | undefined {
  switch (type) {
    case 'string':
    case 'securestring':
      return typeof value === 'string' ? value : undefined;
    case 'int':
      if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
      return typeof value === 'string' && /^-?\d{1,15}$/.test(value) ? Number(value) : undefined;
    case 'bool':
      if (typeof value === 'boolean') return value;
      return typeof value === 'string' && /^(true|false)$/i.test(value) ? value.toLowerCase() === 'true' : undefined;
    case 'array':
      return Array.isArray(value) ? value : undefined;
    case 'object':
    case 'secureobject':
      return isObject(value) ? value : undefined;
  }
}

function tokenOf(value: Json): string {
  if (value === null) return 'Null';
  if (Array.isArray(value)) return 'Array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'Integer' : 'Float';
  return { string: 'String', boolean: 'Boolean', object: 'Object' }[typeof value as 'string' | 'boolean' | 'object'];
}

function display(value: Json): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return text.length > 200 ? `${text.slice(0, 200)}…` : text;
}

function stringsIn(value: Json): string[] {
  if (typeof value === 'string') return [value];
  if (Array.isArray(value)) return value.flatMap(stringsIn);
  return isObject(value) ? Object.values(value).flatMap(stringsIn) : [];
}
