/** The tables, as TypeScript sees them. Columns that end in `_json` hold JSON text; times are milliseconds since 1970. */
import type { Generated } from 'kysely';

export interface Tables {
  resources: ResourceRow;
  operations: OperationRow;
  deployment_steps: DeploymentStepRow;
  instances: InstanceRow;
  models: ModelRow;
  secrets: SecretRow;
  accounts: AccountRow;
  public_addresses: PublicAddressRow;
  listen_ports: ListenPortRow;
  mount_grants: MountGrantRow;
  counters: CounterRow;
  keys: KeyRow;
  users: UserRow;
  user_groups: UserGroupRow;
  memberships: MembershipRow;
  leases: LeaseRow;
  ended_sign_ins: EndedSignInRow;
  activity_log: ActivityRow;
  metric_series: MetricSeriesRow;
  metric_samples: MetricSampleRow;
  ledger: LedgerRow;
  ledger_seen: LedgerSeenRow;
  session_history: SessionHistoryRow;
  share_restores: ShareRestoreRow;
  fullness: FullnessRow;
}

/** A resource: the document as asked for, and what was found. */
export interface ResourceRow {
  key: string;
  id: string;
  type_key: string;
  /** Key of the resource group; a group's own row has its own key here. */
  group_key: string;
  /** Key of the parent resource, '' at the top level. */
  parent_key: string;
  document_json: string;
  found_json: string;
  provisioning_state: string;
  error_json: string | null;
  generation: number;
  etag: string;
  created_at: number;
  changed_at: number;
  /** Set when its removal was asked for; the row goes when nothing of it is left. */
  deleting_since: number | null;
}

export interface OperationRow {
  id: string;
  resource_key: string;
  resource_id: string;
  action: string;
  status: string;
  /** The resource's generation that this operation asked for. */
  generation: number;
  error_json: string | null;
  started_at: number;
  ended_at: number | null;
}

export interface DeploymentStepRow {
  deployment_key: string;
  resource_key: string;
  resource_id: string;
  position: number;
  status: string;
  operation_id: string | null;
  error_json: string | null;
  started_at: number | null;
  ended_at: number | null;
}

export interface InstanceRow {
  scale_set_key: string;
  instance_id: number;
  /** Name in the engine. */
  name: string;
  hostname: string;
  address: string;
  model_version: string;
  state_json: string;
  created_at: number;
}

/** What instances of a scale set are made of; kept as long as an instance was made from it. */
export interface ModelRow {
  scale_set_key: string;
  version: string;
  profile_json: string;
  sku_json: string;
}

export interface SecretRow {
  ref: string;
  owner_key: string;
  sealed: string;
  created_at: number;
}

/** The admin user of a pool, with a uid that is never used again. */
export interface AccountRow {
  uid: number;
  owner_key: string;
  name: string;
}

export interface PublicAddressRow {
  address: string;
  owner_key: string;
}

export interface ListenPortRow {
  port: number;
  route: string;
}

/** What the handles of an instance for an account's keys are good for: the listed shares; none: all of the account. */
export interface MountGrantRow {
  instance_name: string;
  account: string;
  shares_json: string;
}

export interface CounterRow {
  name: string;
  value: number;
}

/** A key that secrets are sealed with, itself sealed with the master key of that name. */
export interface KeyRow {
  id: string;
  purpose: 'seal' | 'digest' | 'token';
  sealed: string;
  master: string;
  created_at: number;
}

/** A person. `pools_json` is `"all"` or a list of names. */
export interface UserRow {
  name: string;
  uid: number;
  /** A placeholder for the hash, which is sealed; null where there is no password. */
  password: string | null;
  ssh_keys_json: string;
  pools_json: string;
  disabled: 0 | 1;
  sudo: 0 | 1;
  generation: number;
  created_at: number;
}

export interface UserGroupRow {
  name: string;
  gid: number;
  pools_json: string;
  generation: number;
  created_at: number;
}

export interface MembershipRow {
  user_name: string;
  group_name: string;
}

/** An instance that is kept for somebody until then. */
export interface LeaseRow {
  pool_key: string;
  user_name: string;
  instance_name: string;
  until_at: number;
}

/** A sign-in in a browser that has ended before its time. No secret: what its cookie is sealed with is not here. */
export interface EndedSignInRow {
  pool: string;
  user_name: string;
  /** '': all of this person's that had begun by `issued_at`. */
  token_id: string;
  issued_at: number;
  expires_at: number;
  /** What the person is told. */
  words: string | null;
}

/** What was done to a scale set or an instance of it, and why. */
export interface ActivityRow {
  id: string;
  at: number;
  resource_key: string;
  resource_id: string;
  instance_id: number | null;
  operation: string;
  status: 'Started' | 'Succeeded' | 'Failed';
  level: 'Informational' | 'Warning' | 'Error';
  caller: string;
  message: string;
  properties_json: string;
}

/** A metric of a scale set; the number stands for both in the samples. */
export interface MetricSeriesRow {
  id: Generated<number>;
  scale_set_key: string;
  metric: string;
}

/** What was measured of one instance ('': of the whole pool) within a span of `grain` milliseconds. */
export interface MetricSampleRow {
  grain: number;
  start: number;
  series: number;
  instance: string;
  count: number;
  sum: number;
  minimum: number;
  maximum: number;
  last: number;
}

/** Instance-time of a day (UTC), in milliseconds. */
export interface LedgerRow {
  /** `2026-03-01` */
  day: string;
  /** `resourcegroup/scaleset`, in lower case. */
  pool: string;
  /** '': of nobody, or of somebody whom nobody knows. */
  user_name: string;
  size: string;
  used: number;
  idle: number;
  standby: number;
}

/** One row: until when the ledger holds what was. */
export interface LedgerSeenRow {
  one: 1;
  until_at: number;
}

/** Somebody's time in a pool. Of a session that goes on, the times of its end are those when it was seen last. */
export interface SessionHistoryRow {
  id: string;
  pool_key: string;
  user_name: string;
  started_at: number;
  ended_at: number;
  active_until: number;
}

/** A share, or a part of it, that is brought back to what a snapshot holds. */
export interface ShareRestoreRow {
  id: string;
  account: string;
  share: string;
  snapshot: string;
  /** Names from the share's root; [] for all of it. */
  path_json: string;
  /** The snapshot of how it was before. */
  before_name: string;
  state: 'Running' | 'Succeeded' | 'Failed';
  files: number;
  removed: number;
  /** What became of it, for people; while it runs, what holds it up. */
  message: string;
  started_at: number;
  ended_at: number | null;
}

/** What was told of how full something is: `account/share`, or `account/share/folder`. */
export interface FullnessRow {
  place: string;
  told_json: string;
}
