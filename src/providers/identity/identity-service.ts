/**
 * People and groups as clients see them: `Poolhouse.Identity/users` and `…/groups`, at the level of the tenant, for a
 * person belongs to no subscription and no resource group. A change is made when it is answered; the loops bring it to
 * the instances.
 */
import type { Logger } from 'pino';
import type { JsonObject } from '../../core/json.ts';
import type { Clock } from '../../core/time.ts';
import type { Secrets } from '../../secrets/secrets.ts';
import type { Store } from '../../store/store.ts';
import type { WriteConditions, Written } from '../resource-service.ts';
import { createGroups } from './groups.ts';
import { createUsers } from './users.ts';

/** Who asks for a change, for the log. */
export interface Asker {
  by: string;
}

/** Users, or groups. Bodies are as in ARM: `id`, `name`, `type`, `etag`, `properties`; no secret is in any that is given. */
export interface IdentityCollection {
  list(): Promise<JsonObject[]>;
  /** `ResourceNotFound` where there is none. */
  get(name: string): Promise<JsonObject>;
  /** Makes it, or replaces what is asked of it; what may not be read (a password) stays unless it is given. */
  put(name: string, body: JsonObject, conditions: WriteConditions, asker: Asker): Promise<Written>;
  /** Changes what is given, and nothing else. */
  patch(name: string, body: JsonObject, conditions: WriteConditions, asker: Asker): Promise<Written>;
  /** False where there was none. */
  remove(name: string, asker: Asker): Promise<boolean>;
}

export interface IdentityService {
  users: IdentityCollection;
  groups: IdentityCollection;
}

export interface IdentityParts {
  store: Store;
  secrets: Secrets;
  /** Downloads public keys; by the policy of all downloads. */
  fetch(address: string): Promise<Uint8Array>;
  clock: Clock;
  log: Logger;
  /** Called after a change was committed: the loops have something to do. Settles when gateways are told, or a little later at most. */
  changed(): Promise<void>;
}

export function createIdentityService(parts: IdentityParts): IdentityService {
  return { users: createUsers(parts), groups: createGroups(parts) };
}
