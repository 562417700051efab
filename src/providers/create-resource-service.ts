/**
 * All that is the same for every resource type: ids, groups, conditions, secrets, operations, transactions. A PUT
 * stores what is asked for together with its operation; loops make it so.
 */
import { PoolhouseError } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import {
  groupId,
  isResourceName,
  keyOf,
  parentId,
  resourceNameRule,
  shownName,
  type ResourceId,
  type ResourcePath,
} from '../core/resource-id.ts';
import type { Clock } from '../core/time.ts';
import { hideIn, type Secrets } from '../secrets/secrets.ts';
import { beginOperation, findOperation, openOperations } from '../store/operations.ts';
import { findResource, findResources, saveResource, type ResourceRecord } from '../store/resource-records.ts';
import type { Queries, Store } from '../store/store.ts';
import { checkConditions } from './check-conditions.ts';
import { commonMembers, mergePatch } from './common-members.ts';
import { eraseResource } from './erase-resource.ts';
import { presentResource } from './present-resource.ts';
import { createResourceLookup, groupType } from './resource-lookup.ts';
import { operationOf, supersedeOperations } from './resource-operations.ts';
import type {
  ActionOutcome,
  ListScope,
  ResourceService,
  Subscription,
  WriteConditions,
  Written,
} from './resource-service.ts';
import type {
  ActionContext,
  PlannedBody,
  Registry,
  StoredType,
  Surroundings,
  TypeContext,
  VirtualType,
} from './resource-type.ts';

export interface ResourceServiceParts {
  store: Store;
  secrets: Secrets;
  registry: Registry;
  subscription: Subscription;
  surroundings: Surroundings;
  clock: Clock;
  newId(): string;
  /** Called after a change was committed: the loops have something to do. */
  changed(): void;
}

/** What control itself may do beyond what clients can. */
export interface InnerResourceService extends ResourceService {
  put(
    id: ResourceId,
    body: JsonObject,
    conditions: WriteConditions & { secretValues?: readonly string[] },
  ): Promise<Written>;
  /**
   * Checks a body as a PUT would, without references to other resources; of one that is not known yet, what can be
   * checked without it, from the part that is `known`. `planned` are all bodies of the template. Asked inside the caller's transaction.
   */
  check(
    queries: Queries,
    id: ResourceId,
    body: JsonObject | undefined,
    known: JsonObject,
    planned: readonly PlannedBody[],
  ): Promise<void>;
  /** Gives up what can be given up of a PUT, unless it has ended or a later one has taken its place. */
  cancel(operationId: string): Promise<void>;
}

export function createResourceService(parts: ResourceServiceParts): InnerResourceService {
  const { store, registry, subscription, secrets, surroundings, clock } = parts;

  const { parse, typeOf, requireGroup, requireStored, storedAbove, notFound, groupNotFound } = createResourceLookup(
    registry,
    subscription,
  );
  const contextFor = (queries: Queries): TypeContext => ({
    queries,
    secrets,
    surroundings,
    now: clock.now(),
    newId: () => parts.newId(),
  });

  async function putStored(
    type: StoredType,
    path: ResourcePath,
    id: ResourceId,
    body: JsonObject,
    conditions: WriteConditions & { secretValues?: readonly string[] },
  ): Promise<Written> {
    const prepared = await prepare(type, path, body);
    const outcome = await store.transaction(async (tx) => {
      const isGroup = path.type.toLowerCase() === groupType;
      const group = isGroup ? undefined : await requireGroup(tx, path);
      if (group?.deletingSince !== undefined) {
        throw new PoolhouseError(
          'ResourceGroupBeingDeleted',
          `The resource group '${path.resourceGroup ?? ''}' is being deleted. Wait until it is gone, then try again.`,
        );
      }
      const parent = parentId(path);
      if (parent !== undefined) await storedAbove(tx, path);
      const existing = await findResource(tx, id);
      checkConditions(existing, conditions, path);
      if (existing?.deletingSince !== undefined) {
        throw new PoolhouseError(
          'Conflict',
          `'${path.names.join('/')}' is being deleted. Wait until it is gone, then try again.`,
          { retryable: true },
        );
      }

      const whole = existing === undefined ? prepared : (type.complete?.(prepared, existing) ?? prepared);
      const asked = commonMembers(whole, type, existing);
      type.check(asked, surroundings, path);
      await requireReferences(tx, type.references?.(asked) ?? [], id);

      const now = clock.now();
      const secretValues = conditions.secretValues ?? [];
      const accepted =
        type.accept === undefined
          ? asked
          : await type.accept(asked, { ...contextFor(tx), id, path, existing, secretValues });
      const document = await hideIn(accepted, secretValues, (value) => secrets.hide(tx, keyOf(id), value, now));
      const generation = (existing?.generation ?? 0) + 1;
      const record: ResourceRecord = {
        key: keyOf(id),
        id: existing?.id ?? id,
        typeKey: type.type.toLowerCase(),
        groupKey: group?.key ?? keyOf(id),
        parentKey: parent === undefined ? '' : keyOf(parent),
        document,
        found: existing?.found ?? {},
        provisioningState: type.reconciled
          ? (type.workingState ?? (existing === undefined ? 'Creating' : 'Updating'))
          : 'Succeeded',
        error: undefined,
        generation,
        etag: parts.newId(),
        createdAt: existing?.createdAt ?? now,
        changedAt: now,
        deletingSince: undefined,
      };
      await saveResource(tx, record);
      const operation = type.reconciled
        ? await supersedeOperations(tx, record, 'put', { now, id: parts.newId() })
        : undefined;
      return { record, created: existing === undefined, operation };
    });
    parts.changed();
    return {
      created: outcome.created,
      body: await presentResource(outcome.record, type, contextFor(store.db)),
      ...(outcome.operation === undefined ? {} : { operation: operationOf(outcome.operation) }),
    };
  }

  /** Fetches what the body refers to, once the group is known to exist: nobody else's requests wait for it. */
  async function prepare(type: StoredType, path: ResourcePath, body: JsonObject): Promise<JsonObject> {
    if (type.prepare === undefined) return body;
    await requireGroup(store.db, path);
    return type.prepare(body, path);
  }

  async function requireReferences(tx: Queries, ids: readonly string[], from: ResourceId): Promise<void> {
    for (const id of ids) {
      const path = parse(id as ResourceId);
      const type = registry.find(path.type);
      const missing = new PoolhouseError(
        'InvalidResourceReference',
        `Resource ${id} referenced by resource ${from} was not found. Please make sure that the referenced resource exists, and that both resources are in the same region.`,
      );
      if (type === undefined) throw missing;
      if (keyOf(id).startsWith(`${keyOf(from)}/`)) continue; // a part of the same document: its own type's check sees to it
      if (type.kind === 'stored') {
        const target = await findResource(tx, id);
        if (target === undefined || target.deletingSince !== undefined) throw missing;
        continue;
      }
      try {
        await type.get(await storedAbove(tx, path), path, contextFor(tx));
      } catch (error) {
        if (error instanceof PoolhouseError && error.code !== 'InternalServerError') throw missing;
        throw error;
      }
    }
  }

  /** Writes a parent's document that a virtual child changed. */
  async function putParent(parentRecord: ResourceRecord, document: JsonObject): Promise<Written> {
    const path = parse(parentRecord.id);
    const type = typeOf(path);
    if (type.kind !== 'stored') throw notFound(path);
    return putStored(type, path, parentRecord.id, document, { ifMatch: parentRecord.etag });
  }

  function unsupported(verb: string, path: ResourcePath): PoolhouseError {
    return new PoolhouseError('OperationNotAllowed', `'${verb}' is not possible on '${path.type}'.`, {
      target: path.type,
    });
  }

  async function putVirtual(type: VirtualType, path: ResourcePath, body: JsonObject): Promise<Written> {
    const parent = await storedAbove(store.db, path);
    if (type.put === undefined) throw unsupported('PUT', path);
    const before = await existsVirtual(type, parent, path);
    const written = await putParent(parent, await type.put(parent, path, body, contextFor(store.db)));
    const after = await storedAbove(store.db, path);
    return {
      created: !before,
      body: await type.get(after, path, contextFor(store.db)),
      ...(written.operation === undefined ? {} : { operation: written.operation }),
    };
  }

  async function existsVirtual(type: VirtualType, parent: ResourceRecord, path: ResourcePath): Promise<boolean> {
    try {
      await type.get(parent, path, contextFor(store.db));
      return true;
    } catch (error) {
      if (error instanceof PoolhouseError && httpLikeNotFound(error)) return false;
      throw error;
    }
  }

  async function removeStored(type: StoredType, path: ResourcePath, record: ResourceRecord) {
    const outcome = await store.transaction(async (tx) => {
      const current = await findResource(tx, record.id);
      if (current === undefined) return { existed: false };
      const context = contextFor(tx);
      await type.checkRemoval?.(current, context);
      if (!type.removedByLoop) {
        await eraseResource(tx, current, registry, context);
        return { existed: true };
      }
      if (current.deletingSince !== undefined) {
        const running = (await openOperations(tx, current.key)).at(-1);
        if (running !== undefined) return { existed: true, operation: operationOf(running) };
      }
      const now = clock.now();
      const marked: ResourceRecord = {
        ...current,
        deletingSince: current.deletingSince ?? now,
        provisioningState: 'Deleting',
        generation: current.generation + 1,
        etag: parts.newId(),
        changedAt: now,
      };
      await saveResource(tx, marked);
      const operation = await supersedeOperations(tx, marked, 'delete', { now, id: parts.newId() });
      return { existed: true, operation: operationOf(operation) };
    });
    parts.changed();
    return outcome;
  }

  /** Of a part that a loop takes away: its action begins the operation. */
  async function removeByAction(act: NonNullable<VirtualType['actions']>[string], path: ResourcePath) {
    try {
      const { operation } = await store.transaction(async (tx) => {
        const parent = await storedAbove(tx, path);
        return act(parent, path, {}, actionContext(tx, parent));
      });
      parts.changed();
      return { existed: true, ...(operation === undefined ? {} : { operation }) };
    } catch (error) {
      if (error instanceof PoolhouseError && httpLikeNotFound(error)) return { existed: false };
      throw error;
    }
  }

  function actionContext(queries: Queries, record: ResourceRecord): ActionContext {
    return {
      ...contextFor(queries),
      begin: async (action, generation) => ({
        operation: operationOf(
          await beginOperation(queries, {
            id: parts.newId(),
            resourceKey: record.key,
            resourceId: record.id,
            action,
            generation,
            startedAt: clock.now(),
          }),
        ),
      }),
    };
  }

  return {
    subscription: () => subscription,
    resourceTypes: () =>
      registry.all().map((type) => {
        const [namespace = '', ...rest] = type.type.split('/');
        return { namespace, type: rest.join('/') };
      }),

    async get(id, expand) {
      const path = parse(id);
      const type = typeOf(path);
      if (type.kind === 'virtual') {
        return type.get(await storedAbove(store.db, path), path, contextFor(store.db), expand);
      }
      return presentResource(await requireStored(store.db, path), type, contextFor(store.db), expand);
    },

    async put(id, body, conditions) {
      const path = parse(id);
      const type = typeOf(path);
      checkNames(path);
      return type.kind === 'virtual' ? putVirtual(type, path, body) : putStored(type, path, id, body, conditions);
    },

    async check(queries, id, body, known, planned) {
      const path = parse(id);
      const type = typeOf(path);
      checkNames(path);
      if (type.kind !== 'stored') return;
      await type.checkKnown?.(known, queries);
      if (body === undefined) return;
      const existing = await findResource(queries, id);
      const whole = existing === undefined ? body : (type.complete?.(body, existing) ?? body);
      const asked = commonMembers(whole, type, existing);
      type.check(asked, surroundings, path);
      await type.checkRoom?.(asked, { queries, surroundings, id, existing, planned });
    },

    async cancel(operationId) {
      await store.transaction(async (tx) => {
        const operation = await findOperation(tx, operationId);
        if (operation?.status !== 'InProgress') return;
        const record = await findResource(tx, operation.resourceId);
        const type = record === undefined ? undefined : registry.find(record.typeKey);
        if (record?.generation === operation.generation && type?.kind === 'stored')
          await type.cancel?.(record, contextFor(tx));
      });
      parts.changed();
    },

    async patch(id, body, conditions) {
      const path = parse(id);
      const type = typeOf(path);
      if (type.kind === 'virtual') throw unsupported('PATCH', path);
      const record = await requireStored(store.db, path);
      return putStored(type, path, record.id, mergePatch(record.document, body), {
        ...conditions,
        ifMatch: conditions.ifMatch ?? record.etag,
      });
    },

    async remove(id) {
      const path = parse(id);
      const type = typeOf(path);
      if (path.type.toLowerCase() !== groupType) await requireGroup(store.db, path);
      if (type.kind === 'virtual') {
        const parent = await storedAbove(store.db, path);
        if (type.actions?.['delete'] !== undefined) return removeByAction(type.actions['delete'], path);
        if (type.remove === undefined) throw unsupported('DELETE', path);
        const document = await type.remove(parent, path, contextFor(store.db));
        if (document === undefined) return { existed: false };
        const written = await putParent(parent, document);
        return { existed: true, ...(written.operation === undefined ? {} : { operation: written.operation }) };
      }
      const record = await findResource(store.db, id);
      if (record === undefined) return { existed: false };
      return removeStored(type, path, record);
    },

    async list(scope, expand) {
      return listScope(scope, expand);
    },

    async act(id, action, body) {
      const path = parse(id);
      const type = typeOf(path);
      const name = action.toLowerCase();
      const asked = type.kind === 'stored' && name === 'validate' ? await prepare(type, path, body) : body;
      const outcome = await store.transaction(async (tx): Promise<ActionOutcome> => {
        if (type.kind === 'virtual') {
          const parent = await storedAbove(tx, path);
          const act = type.actions?.[name];
          if (act === undefined) throw unsupported(action, path);
          return act(parent, path, body, actionContext(tx, parent));
        }
        const act = type.actions?.[name];
        if (act === undefined) throw unsupported(action, path);
        // A deployment is validated before it exists.
        const mayBeMissing = name === 'validate' || type.actionsOnNothing?.has(name) === true;
        const record = mayBeMissing ? await findResource(tx, id) : await requireStored(tx, path);
        if (record === undefined) await requireGroup(tx, path);
        const subject = record ?? placeholderRecord(id, path, type);
        return act(subject, asked, actionContext(tx, subject));
      });
      parts.changed();
      return outcome;
    },

    async operation(id) {
      const record = await findOperation(store.db, id);
      if (record === undefined) throw new PoolhouseError('NotFound', `The operation '${id}' could not be found.`);
      return operationOf(record);
    },
  };

  async function listScope(scope: ListScope, expand?: string): Promise<JsonObject[]> {
    const queries = store.db;
    if (scope.subscriptionId.toLowerCase() !== subscription.subscriptionId.toLowerCase()) {
      throw new PoolhouseError(
        'SubscriptionNotFound',
        `The subscription '${scope.subscriptionId}' could not be found.`,
      );
    }
    const groupKey =
      scope.resourceGroup === undefined ? undefined : keyOf(groupId(scope.subscriptionId, scope.resourceGroup));
    if (
      scope.resourceGroup !== undefined &&
      groupKey !== undefined &&
      (await findResource(queries, groupKey)) === undefined
    ) {
      throw groupNotFound(scope.resourceGroup);
    }
    if (scope.type !== undefined) {
      const names = scope.type
        .split('/')
        .slice(1)
        .map(() => '-');
      const type = typeOf({ subscriptionId: scope.subscriptionId, type: scope.type, names });
      if (type.kind === 'virtual') {
        if (scope.parent === undefined) return [];
        const path = parse(scope.parent);
        const own = typeOf(path);
        const parent = own.kind === 'stored' ? await requireStored(queries, path) : await storedAbove(queries, path);
        return type.list(parent, contextFor(queries), expand);
      }
    }
    const records = await findResources(queries, {
      ...(scope.type === undefined ? {} : { type: scope.type }),
      ...(groupKey === undefined ? {} : { groupKey }),
      ...(scope.parent === undefined ? {} : { parentKey: keyOf(scope.parent) }),
    });
    const result: JsonObject[] = [];
    for (const record of records) {
      const type = registry.find(record.typeKey);
      if (type?.kind !== 'stored') continue;
      // 'Resources' are what lies in groups, at the top level.
      const isListed = record.parentKey === '' && type.needsLocation && record.typeKey !== groupType;
      if (scope.type === undefined && !isListed) continue;
      result.push(await presentResource(record, type, contextFor(queries), expand));
    }
    return result;
  }
}

function httpLikeNotFound(error: PoolhouseError): boolean {
  return error.code === 'ResourceNotFound' || error.code === 'NotFound' || error.code === 'InstanceNotFound';
}

function placeholderRecord(id: ResourceId, path: ResourcePath, type: StoredType): ResourceRecord {
  return {
    key: keyOf(id),
    id,
    typeKey: type.type.toLowerCase(),
    groupKey: keyOf(groupId(path.subscriptionId, path.resourceGroup ?? '')),
    parentKey: '',
    document: {},
    found: {},
    provisioningState: 'Accepted',
    error: undefined,
    generation: 0,
    etag: '',
    createdAt: 0,
    changedAt: 0,
    deletingSince: undefined,
  };
}

/** Names as ARM allows them everywhere; a type may be stricter. */
function checkNames(path: ResourcePath): void {
  const bad = path.names.find((name) => !isResourceName(name));
  if (bad === undefined) return;
  throw new PoolhouseError(
    'InvalidResourceName',
    `The resource name '${shownName(bad)}' is not valid: ${resourceNameRule}.`,
    { target: 'name' },
  );
}
