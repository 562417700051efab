/**
 * A template with its parameters, made into resources: loops unrolled, conditions decided, expressions evaluated, the
 * order known. What only a deployed resource can tell (`reference`, `list*`) stays open until it has been deployed.
 */
import { isObject, member, setMember, textOf, type Json, type JsonObject } from '../core/json.ts';
import { redactError } from '../core/redact.ts';
import type { ResourceId, ResourceKey } from '../core/resource-id.ts';
import { checkFunctions } from './check-functions.ts';
import { bindParameters, isSecure, suppliedSecrets, type BoundParameters } from './bind-parameters.ts';
import { itemsOf } from './copies.ts';
import { dependenciesOf, impliedBy, unknownRuntime } from './dependencies.ts';
import { addDrafts, bodyOf, draftsOf, idOfName, knownPartOf, type Draft } from './draft-resources.ts';
import { evaluateValue, NeedsRuntime, type Environment, type RuntimeNeed } from './evaluate.ts';
import { languageFunctions } from './functions/index.ts';
import { located } from './located.ts';
import { orderResources } from './order-resources.ts';
import { readTemplate, type Template } from './read-template.ts';
import { ExpressionError, templateError } from './template-error.ts';
import { bare, environmentOf, scopeOf, type ExpansionContext } from './template-scope.ts';

export type Runtime = (need: RuntimeNeed) => Json;

export interface ExpandedResource {
  id: ResourceId;
  key: ResourceKey;
  type: string;
  apiVersion: string;
  dependsOn: ResourceKey[];
  /** The body to PUT; undefined while it needs what only deployed resources can tell. */
  body: JsonObject | undefined;
  /** What of the body is known: all of it, or what needs no deployed resource. */
  known: JsonObject;
  /** The body, with a runtime that may throw `NeedsRuntime` for what it does not know yet. */
  resolve(runtime: Runtime): JsonObject;
}

export interface Expansion {
  resources: ExpandedResource[];
  parameters: BoundParameters;
  resolveOutputs(runtime: Runtime): JsonObject;
}

/** @throws `InvalidTemplate`; no error of it, and none of what it gives, shows a secret. */
export function expandTemplate(text: string, supplied: JsonObject, context: ExpansionContext): Expansion {
  const template = withoutSecrets(context.secretValues, () => readTemplate(text));
  const secrets = [...context.secretValues, ...suppliedSecrets(template, supplied)];
  const expansion = withoutSecrets(secrets, () => expand(template, supplied, context));
  secrets.push(...expansion.parameters.secretValues);
  return {
    ...expansion,
    resources: expansion.resources.map((resource) => ({
      ...resource,
      resolve: (runtime) => withoutSecrets(secrets, () => resource.resolve(runtime)),
    })),
    resolveOutputs: (runtime) => withoutSecrets(secrets, () => expansion.resolveOutputs(runtime)),
  };
}

function withoutSecrets<T>(secrets: readonly string[], work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw redactError(error, secrets);
  }
}

function expand(template: Template, supplied: JsonObject, context: ExpansionContext): Expansion {
  checkFunctions(template, languageFunctions);
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
  const known = (draft: Draft) =>
    located(template, draft.declaration.path, () =>
      knownPartOf(draft, { ...draft.environment, runtime: unknownRuntime }),
    );
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

  // What an output needs of deployed resources is asked for at the end; what is wrong without them is wrong now.
  for (const [name, declaration] of Object.entries(template.outputs))
    attempt(() => outputsOf(template, { [name]: declaration }, { ...environment, runtime: unknownRuntime }));

  return {
    parameters,
    resources: resources.map(({ draft, body }) => ({
      id: draft.id,
      key: draft.key,
      type: draft.type,
      apiVersion: draft.apiVersion,
      dependsOn: (ordered.get(draft.key) ?? []) as ResourceKey[], // the keys of these same drafts
      body,
      known: body ?? known(draft),
      resolve: (runtime) => resolve(draft, runtime),
    })),
    resolveOutputs: (runtime) => outputsOf(template, template.outputs, { ...environment, runtime }),
  };
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

function outputsOf(template: Template, outputs: JsonObject, environment: Environment): JsonObject {
  const result: JsonObject = {};
  for (const [name, declaration] of Object.entries(outputs)) {
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
      setMember(result, name, secure ? { type } : { type: type.charAt(0).toUpperCase() + type.slice(1), value });
    });
  }
  return result;
}
