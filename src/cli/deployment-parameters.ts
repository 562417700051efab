/** Parameters as they are given on the command line, made into what a deployment takes. Pure but for reading files. */
import { isObject, member, type Json, type JsonObject } from '../core/json.ts';
import { parseLenient } from '../template/parse-lenient.ts';
import { UsageError } from './usage-error.ts';

export interface DeclaredParameter {
  name: string;
  type: string;
  /** It has a default, or may be null: nobody has to be asked. */
  optional: boolean;
  defaultValue: Json | undefined;
  allowedValues: Json[] | undefined;
  description: string;
}

/** The parameters that a template declares, in their order. */
export function declaredParameters(template: Json): DeclaredParameter[] {
  const parameters = member(template, 'parameters');
  if (!isObject(parameters)) return [];
  return Object.entries(parameters).map(([name, declaration]) => {
    const type = member(declaration, 'type');
    const allowed = member(declaration, 'allowedValues');
    const description = member(member(declaration, 'metadata'), 'description');
    return {
      name,
      type: typeof type === 'string' ? type.toLowerCase() : 'string',
      optional: member(declaration, 'defaultValue') !== undefined || member(declaration, 'nullable') === true,
      defaultValue: member(declaration, 'defaultValue'),
      allowedValues: Array.isArray(allowed) ? allowed : undefined,
      description: typeof description === 'string' ? description : '',
    };
  });
}

/** Reads a file's text; `UsageError` where it cannot be. */
export type ReadText = (file: string) => Promise<string>;

/**
 * `-p` arguments in their order: the later ones win. `UsageError` names the argument that is wrong, and a value that the
 * template does not ask for.
 */
export async function suppliedParameters(
  args: readonly string[],
  declared: readonly DeclaredParameter[],
  read: ReadText,
): Promise<JsonObject> {
  const result = new Map<string, JsonObject>();
  const declarationOf = (name: string) => declared.find((one) => one.name.toLowerCase() === name.toLowerCase());
  for (const arg of args) {
    if (arg.startsWith('@')) {
      const file = arg.slice(1);
      // Names that the template does not know are left to the service's own words: files may be written for several.
      for (const [name, entry] of parametersOf(file, await read(file)))
        result.set(declarationOf(name)?.name ?? name, entry);
      continue;
    }
    const at = arg.indexOf('=');
    if (at < 1) throw new UsageError(`'${arg}' is neither NAME=VALUE nor @FILE.`);
    const declaration = declarationOf(arg.slice(0, at));
    if (declaration === undefined)
      throw new UsageError(
        `The template has no parameter '${arg.slice(0, at)}'. It has: ${declared.map((one) => one.name).join(', ') || 'none'}.`,
      );
    const { name, type } = declaration;
    result.set(name, { value: valueOf(name, await textOrFile(arg.slice(at + 1), type, read), type) });
  }
  return Object.fromEntries(result);
}

/** `@FILE` as the file's text without the line end, as az takes it; a text that only begins so stays as it is. */
async function textOrFile(text: string, type: string, read: ReadText): Promise<string> {
  if (!text.startsWith('@') || text === '@') return text;
  try {
    return (await read(text.slice(1))).replace(/^\uFEFF/, '').replace(/[\r\n]+$/, '');
  } catch (error) {
    // A password may begin with this sign; what looks like a path is meant as one.
    if (!type.endsWith('string') || text.includes('/')) throw error;
    return text;
  }
}

/** What a parameters file holds, with or without the frame that Azure's own files have. */
function parametersOf(file: string, text: string): [name: string, entry: JsonObject][] {
  const value = parseAs(`The parameters file '${file}'`, text);
  const framed = member(value, 'parameters');
  const parameters = framed ?? value;
  if (!isObject(parameters)) throw new UsageError(`The parameters file '${file}' holds no object of parameters.`);
  return Object.entries(parameters).flatMap(([name, entry]): [string, JsonObject][] => {
    if (framed === undefined && ['$schema', 'contentversion'].includes(name.toLowerCase())) return [];
    if (!isObject(entry) || (member(entry, 'value') === undefined && member(entry, 'reference') === undefined))
      throw new UsageError(`'${name}' in the parameters file '${file}' is not written as {"value": …}.`);
    return [[name, entry]];
  });
}

/** A text as the parameter's type. */
export function valueOf(name: string, text: string, type: string): Json {
  switch (type) {
    case 'int':
      if (!/^-?\d{1,15}$/.test(text.trim()))
        throw new UsageError(`The parameter '${name}' is a whole number; '${text}' is none.`);
      return Number(text);
    case 'bool':
      if (!/^(true|false)$/i.test(text.trim()))
        throw new UsageError(`The parameter '${name}' is true or false; '${text}' is neither.`);
      return text.trim().toLowerCase() === 'true';
    case 'object':
    case 'secureobject':
    case 'array': {
      const value = parseAs(`The parameter '${name}'`, text);
      if (type === 'array' ? !Array.isArray(value) : !isObject(value))
        throw new UsageError(`The parameter '${name}' is an ${type === 'array' ? 'array' : 'object'} in JSON.`);
      return value;
    }
    default:
      return text;
  }
}

/** JSON, or a `UsageError` that says what it is that is none. */
export function parseAs(what: string, text: string): Json {
  try {
    return parseLenient(text).value;
  } catch (error) {
    throw new UsageError(`${what}: ${error instanceof Error ? error.message : 'not valid JSON'}`);
  }
}
