/** Parameters as they are given on the command line, made into what a deployment takes. Pure but for reading files. */
import { isObject, member, type Json, type JsonObject } from '../core/json.ts';
import { parseLenient } from '../template/parse-lenient.ts';
import { UsageError } from './usage-error.ts';

export interface DeclaredParameter {
  name: string;
  type: string;
  hasDefault: boolean;
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
      hasDefault: member(declaration, 'defaultValue') !== undefined,
      defaultValue: member(declaration, 'defaultValue'),
      allowedValues: Array.isArray(allowed) ? allowed : undefined,
      description: typeof description === 'string' ? description : '',
    };
  });
}

/** `-p` arguments in their order: the later ones win. `read` gives a file's text. */
export async function suppliedParameters(
  args: readonly string[],
  declared: readonly DeclaredParameter[],
  read: (file: string) => Promise<string>,
): Promise<JsonObject> {
  const result: JsonObject = {};
  const put = (name: string, value: JsonObject) => {
    const known = Object.keys(result).find((one) => one.toLowerCase() === name.toLowerCase());
    result[known ?? declared.find((one) => one.name.toLowerCase() === name.toLowerCase())?.name ?? name] = value;
  };
  for (const arg of args) {
    if (arg.startsWith('@')) {
      const value = parseLenient(await read(arg.slice(1))).value;
      const parameters = member(value, 'parameters') ?? value;
      if (!isObject(parameters))
        throw new UsageError(`The parameters file '${arg.slice(1)}' holds no object of parameters.`);
      for (const [name, entry] of Object.entries(parameters))
        if (isObject(entry) && name !== '$schema') put(name, entry);
      continue;
    }
    const at = arg.indexOf('=');
    if (at < 1) throw new UsageError(`'${arg}' is neither NAME=VALUE nor @FILE.`);
    const name = arg.slice(0, at);
    const text = arg.slice(at + 1);
    const type = declared.find((one) => one.name.toLowerCase() === name.toLowerCase())?.type ?? 'string';
    put(name, {
      value:
        text.startsWith('@') && ['object', 'secureobject', 'array'].includes(type)
          ? parseLenient(await read(text.slice(1))).value
          : valueOf(name, text, type),
    });
  }
  return result;
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
    case 'array':
      return parseLenient(text).value;
    default:
      return text;
  }
}
