/** What has to be deployed before a resource: what it says that it depends on, and what it speaks of. */
import { isObject, member, textOf, type Json, type JsonObject } from '../core/json.ts';
import { formatResourceId, keyOf, tryParseResourceId } from '../core/resource-id.ts';
import { notHere, type Draft } from './draft-resources.ts';
import { evaluateExpression, evaluateValue, NeedsRuntime, type Environment, type RuntimeNeed } from './evaluate.ts';
import { isExpression, parseExpression, type Expression } from './expression.ts';
import { languageFunctions } from './functions/index.ts';
import { located } from './located.ts';
import type { Template } from './read-template.ts';
import { templateError } from './template-error.ts';

/** The runtime before anything is deployed: it knows nothing yet. */
export const unknownRuntime = (need: RuntimeNeed): never => {
  throw new NeedsRuntime(need);
};

/** The `dependsOn` of a resource, as keys. Names, ids, loops and symbols all serve. */
export function dependenciesOf(template: Template, draft: Draft, drafts: readonly Draft[]): string[] {
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
export function impliedBy(draft: Draft, body: JsonObject | undefined, byKey: ReadonlyMap<string, Draft>): string[] {
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
