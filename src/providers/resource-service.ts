/**
 * What the ARM edge asks of the house: resources by their ids. HTTP knows nothing below this interface, and nothing
 * below it knows HTTP. Resource groups and deployments are resources like all others here
 * (`Microsoft.Resources/resourceGroups`, `Microsoft.Resources/deployments`).
 *
 * Bodies are ARM documents as a GET shows them: `id`, `name`, `type`, `location`, `tags`, `properties` with
 * `provisioningState`, `etag` …; secrets are already left out. Every method fails with a `PoolhouseError`.
 */
import type { ErrorBody } from '../core/errors.ts';
import type { JsonObject } from '../core/json.ts';
import type { ResourceId } from '../core/resource-id.ts';
import type { EpochMillis } from '../core/time.ts';

/** A change that takes longer than a request. */
export interface Operation {
  id: string;
  resourceId: ResourceId;
  status: 'InProgress' | 'Succeeded' | 'Failed' | 'Canceled';
  /** Present exactly when failed or cancelled. */
  error?: ErrorBody;
  startedAt: EpochMillis;
  endedAt?: EpochMillis;
}

export interface WriteConditions {
  /** `If-Match`: the etag that must be current. */
  ifMatch?: string;
  /** `If-None-Match: *`: the resource must not exist. */
  mustNotExist?: boolean;
}

export interface Written {
  created: boolean;
  body: JsonObject;
  /** Present while the change is under way. */
  operation?: Operation;
}

export interface ActionOutcome {
  body?: JsonObject;
  operation?: Operation;
}

export interface ListScope {
  subscriptionId: string;
  resourceGroup?: string;
  /** Full type, `Microsoft.Compute/virtualMachineScaleSets/virtualMachines`; without it resources of every type at the top level. */
  type?: string;
  /** For child resources: the id of the parent. */
  parent?: ResourceId;
}

export interface Subscription {
  subscriptionId: string;
  tenantId: string;
  displayName: string;
}

export interface ResourceTypeDescription {
  /** `Microsoft.Network` */
  namespace: string;
  /** `loadBalancers`, `virtualNetworks/subnets` */
  type: string;
}

export interface ResourceService {
  subscription(): Subscription;
  /** For `GET /subscriptions/S/providers`. */
  resourceTypes(): ResourceTypeDescription[];

  /** `expand`: the value of `$expand`, such as `instanceView`. */
  get(id: ResourceId, expand?: string): Promise<JsonObject>;
  put(id: ResourceId, body: JsonObject, conditions: WriteConditions): Promise<Written>;
  /** Merges `tags` and what the type allows to change. */
  patch(id: ResourceId, body: JsonObject, conditions: WriteConditions): Promise<Written>;
  /** `existed: false` becomes 204. */
  remove(id: ResourceId): Promise<{ existed: boolean; operation?: Operation }>;
  list(scope: ListScope, expand?: string): Promise<JsonObject[]>;
  /** POST (and GET of a view) on a resource: `listKeys`, `validate`, `cancel`, `restart`, `instanceView`, `operations` … */
  act(id: ResourceId, action: string, body: JsonObject): Promise<ActionOutcome>;
  operation(id: string): Promise<Operation>;
}
