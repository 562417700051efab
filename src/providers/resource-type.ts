/**
 * What a resource type says of itself. Everything that is the same for all types (ids, conditions, groups, operations,
 * transactions) is in `create-resource-service.ts`; a type only says what is its own.
 */
import type { JsonObject } from '../core/json.ts';
import type { ResourceId, ResourcePath } from '../core/resource-id.ts';
import type { EpochMillis } from '../core/time.ts';
import type { Secrets } from '../secrets/secrets.ts';
import type { ProvisioningState, ResourceRecord } from '../store/resource-records.ts';
import type { Queries } from '../store/store.ts';
import type { ActionOutcome } from './resource-service.ts';

/** What checks may know of the installation. Values only: a check does no I/O. */
export interface Surroundings {
  /** `real`: images and sizes have to exist; otherwise the engine simulates and takes everything. */
  engine: { real: boolean; memoryBytes: number; cpus: number };
  /** The recipe of an image, or `PlatformImageNotFound`. */
  recipeOf(image: { publisher: string; offer: string; sku: string; version: string }): string;
}

export interface TypeContext {
  queries: Queries;
  secrets: Secrets;
  surroundings: Surroundings;
  now: EpochMillis;
  newId(): string;
}

export interface AcceptContext extends TypeContext {
  id: ResourceId;
  path: ResourcePath;
  existing: ResourceRecord | undefined;
  /** Values of secure template parameters: none of them may be stored in the clear. */
  secretValues: readonly string[];
}

/** Another resource that the same template asks for. */
export interface PlannedBody {
  id: string;
  body: JsonObject;
}

export interface RoomContext {
  queries: Queries;
  surroundings: Surroundings;
  id: ResourceId;
  existing: ResourceRecord | undefined;
  planned: readonly PlannedBody[];
}

/** A resource type with rows of its own in the store. */
export interface StoredType {
  kind: 'stored';
  /** As Azure writes it: `Microsoft.Network/loadBalancers`. */
  type: string;
  /** True: loops make it so after the PUT, and the operation ends when they have. */
  reconciled: boolean;
  /** True: it disappears only when the loops have taken down what belongs to it. */
  removedByLoop: boolean;
  /** False for types that have no place of their own (children, groups' deployments). */
  needsLocation: boolean;
  /** The state while a PUT of it is carried out; `Creating` or `Updating` unless the type has words of its own. */
  workingState?: ProvisioningState;
  /** The status of a PUT that made something new: Azure Storage says 200 where others say 201. */
  createdStatus?: 200;
  /** A body that leaves out what the existing resource has, made whole, where this type allows that. */
  complete?(body: JsonObject, existing: ResourceRecord): JsonObject;
  /** Checks a body by itself: also asked by `validate`, before anything exists. Throws. */
  check(body: JsonObject, surroundings: Surroundings, path: ResourcePath): void;
  /** Checks, before any resource of a template is made, what depends on those that there are and will be. Throws. */
  checkRoom?(body: JsonObject, context: RoomContext): Promise<void>;
  /** Checks what has to be nobody else's (a name, say) as far as it is known: a template's body may be known in part only. Throws. */
  checkKnown?(known: JsonObject, queries: Queries): Promise<void>;
  /** Ids in the body that must exist when it is put. */
  references?(body: JsonObject): string[];
  /** What has to be fetched from elsewhere before a PUT or `validate` can be looked at. Runs outside of any transaction. */
  prepare?(body: JsonObject, path: ResourcePath): Promise<JsonObject>;
  /** The document to store. Runs in the transaction of the PUT, and may write what belongs to it. */
  accept?(body: JsonObject, context: AcceptContext): Promise<JsonObject>;
  /** The `properties` of a GET, without secrets; what is common to all types is added by the service. */
  properties?(record: ResourceRecord, context: TypeContext, expand?: string): Promise<JsonObject>;
  /** Members at the top level of a GET beside the common ones. */
  extra?(record: ResourceRecord, context: TypeContext): Promise<JsonObject>;
  /** Throws where something still needs it. */
  checkRemoval?(record: ResourceRecord, context: TypeContext): Promise<void>;
  /** Gives up, of the PUT that is under way, what can be given up: its deployment was cancelled. */
  cancel?(record: ResourceRecord, context: TypeContext): Promise<void>;
  /** Removes what belongs to it in the store, in the transaction that removes the row. */
  cleanUp?(record: ResourceRecord, context: TypeContext): Promise<void>;
  /** Actions that are asked of what is not there; the record is then one without a generation. */
  actionsOnNothing?: ReadonlySet<string>;
  /** By name in lower case. */
  actions?: Readonly<
    Record<string, (record: ResourceRecord, body: JsonObject, context: ActionContext) => Promise<ActionOutcome>>
  >;
}

export interface ActionContext extends TypeContext {
  /** Begins an operation on this resource that a loop will end. */
  begin(action: string, generation: number): Promise<ActionOutcome>;
}

/** A resource that is part of, or derived from, its parent, and has no row of its own. */
export interface VirtualType {
  kind: 'virtual';
  type: string;
  get(parent: ResourceRecord, path: ResourcePath, context: TypeContext, expand?: string): Promise<JsonObject>;
  list(parent: ResourceRecord, context: TypeContext, expand?: string): Promise<JsonObject[]>;
  /** The parent's new document with the child put in. */
  put?(parent: ResourceRecord, path: ResourcePath, body: JsonObject, context: TypeContext): Promise<JsonObject>;
  /** The parent's new document without the child; undefined where it was not there. */
  remove?(parent: ResourceRecord, path: ResourcePath, context: TypeContext): Promise<JsonObject | undefined>;
  actions?: Readonly<
    Record<
      string,
      (parent: ResourceRecord, path: ResourcePath, body: JsonObject, context: ActionContext) => Promise<ActionOutcome>
    >
  >;
}

export type ResourceType = StoredType | VirtualType;

export interface Registry {
  find(type: string): ResourceType | undefined;
  all(): readonly ResourceType[];
}

export function createRegistry(types: readonly ResourceType[]): Registry {
  const byKey = new Map(types.map((type) => [type.type.toLowerCase(), type]));
  return { find: (type) => byKey.get(type.toLowerCase()), all: () => types };
}
