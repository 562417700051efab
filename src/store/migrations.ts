/**
 * The store's history. A migration is never changed after it was released; a new one is added at the end. The file's
 * `user_version` is the number of migrations that it has had.
 */
export const migrations: readonly string[] = [
  `
  CREATE TABLE resources (
    key TEXT PRIMARY KEY,
    id TEXT NOT NULL,
    type_key TEXT NOT NULL,
    group_key TEXT NOT NULL,
    parent_key TEXT NOT NULL,
    document_json TEXT NOT NULL,
    found_json TEXT NOT NULL,
    provisioning_state TEXT NOT NULL,
    error_json TEXT,
    generation INTEGER NOT NULL,
    etag TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    changed_at INTEGER NOT NULL,
    deleting_since INTEGER
  ) STRICT;
  CREATE INDEX resources_by_type ON resources (type_key);
  CREATE INDEX resources_by_group ON resources (group_key);
  CREATE INDEX resources_by_parent ON resources (parent_key);

  CREATE TABLE operations (
    id TEXT PRIMARY KEY,
    resource_key TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    action TEXT NOT NULL,
    status TEXT NOT NULL,
    generation INTEGER NOT NULL,
    error_json TEXT,
    started_at INTEGER NOT NULL,
    ended_at INTEGER
  ) STRICT;
  CREATE INDEX operations_by_resource ON operations (resource_key, status);

  CREATE TABLE deployment_steps (
    deployment_key TEXT NOT NULL,
    resource_key TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    position INTEGER NOT NULL,
    status TEXT NOT NULL,
    operation_id TEXT,
    error_json TEXT,
    started_at INTEGER,
    ended_at INTEGER,
    PRIMARY KEY (deployment_key, resource_key)
  ) STRICT;

  CREATE TABLE instances (
    scale_set_key TEXT NOT NULL,
    instance_id INTEGER NOT NULL,
    name TEXT NOT NULL UNIQUE,
    hostname TEXT NOT NULL,
    address TEXT NOT NULL UNIQUE,
    model_version TEXT NOT NULL,
    state_json TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (scale_set_key, instance_id)
  ) STRICT;

  CREATE TABLE models (
    scale_set_key TEXT NOT NULL,
    version TEXT NOT NULL,
    profile_json TEXT NOT NULL,
    sku_json TEXT NOT NULL,
    PRIMARY KEY (scale_set_key, version)
  ) STRICT;

  CREATE TABLE secrets (
    ref TEXT PRIMARY KEY,
    owner_key TEXT NOT NULL,
    sealed TEXT NOT NULL,
    created_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX secrets_by_owner ON secrets (owner_key);

  CREATE TABLE accounts (
    uid INTEGER PRIMARY KEY,
    owner_key TEXT NOT NULL,
    name TEXT NOT NULL,
    UNIQUE (owner_key, name)
  ) STRICT;

  CREATE TABLE public_addresses (
    address TEXT PRIMARY KEY,
    owner_key TEXT NOT NULL UNIQUE
  ) STRICT;

  CREATE TABLE listen_ports (
    port INTEGER PRIMARY KEY,
    route TEXT NOT NULL UNIQUE
  ) STRICT;

  CREATE TABLE mount_grants (
    handle_hash TEXT NOT NULL,
    instance_name TEXT NOT NULL,
    account TEXT NOT NULL,
    shares_json TEXT NOT NULL,
    PRIMARY KEY (instance_name, account)
  ) STRICT;

  CREATE TABLE counters (
    name TEXT PRIMARY KEY,
    value INTEGER NOT NULL
  ) STRICT;
  `,
  `
  CREATE TABLE keys (
    id TEXT PRIMARY KEY,
    purpose TEXT NOT NULL,
    sealed TEXT NOT NULL,
    master TEXT NOT NULL,
    created_at INTEGER NOT NULL
  ) STRICT;
  `,
  // Handles are computed from the keys that they stand for: a key that was regenerated takes its handles with it.
  `
  ALTER TABLE mount_grants DROP COLUMN handle_hash;
  `,
  // People. A password's hash is sealed like every secret: here stands the placeholder.
  `
  CREATE TABLE users (
    name TEXT PRIMARY KEY,
    uid INTEGER NOT NULL UNIQUE,
    password TEXT,
    ssh_keys_json TEXT NOT NULL,
    pools_json TEXT NOT NULL,
    disabled INTEGER NOT NULL,
    sudo INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    created_at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE user_groups (
    name TEXT PRIMARY KEY,
    gid INTEGER NOT NULL UNIQUE,
    pools_json TEXT NOT NULL,
    generation INTEGER NOT NULL,
    created_at INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE memberships (
    user_name TEXT NOT NULL,
    group_name TEXT NOT NULL,
    PRIMARY KEY (user_name, group_name)
  ) STRICT;
  CREATE INDEX memberships_by_group ON memberships (group_name);
  `,
  // Machines that people keep until a time.
  `
  CREATE TABLE leases (
    pool_key TEXT NOT NULL,
    user_name TEXT NOT NULL,
    instance_name TEXT NOT NULL,
    until_at INTEGER NOT NULL,
    PRIMARY KEY (pool_key, user_name)
  ) STRICT;
  `,
  // Sign-ins in browsers that ended before their time, until they would have ended anyway.
  `
  CREATE TABLE ended_sign_ins (
    pool TEXT NOT NULL,
    user_name TEXT NOT NULL,
    token_id TEXT NOT NULL,
    issued_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    words TEXT,
    PRIMARY KEY (pool, user_name, token_id)
  ) STRICT;
  `,
  // What was done, by whom and why.
  `
  CREATE TABLE activity_log (
    id TEXT PRIMARY KEY,
    at INTEGER NOT NULL,
    resource_key TEXT NOT NULL,
    resource_id TEXT NOT NULL,
    instance_id INTEGER,
    operation TEXT NOT NULL,
    status TEXT NOT NULL,
    level TEXT NOT NULL,
    caller TEXT NOT NULL,
    message TEXT NOT NULL,
    properties_json TEXT NOT NULL
  ) STRICT;
  CREATE INDEX activity_log_by_resource ON activity_log (resource_key, at);
  CREATE INDEX activity_log_by_time ON activity_log (at);
  `,
  // What was measured: a row a span of time, metric and instance. Ordered by time: each minute's rows are written in one place.
  `
  CREATE TABLE metric_series (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    scale_set_key TEXT NOT NULL,
    metric TEXT NOT NULL,
    UNIQUE (scale_set_key, metric)
  ) STRICT;
  CREATE TABLE metric_samples (
    grain INTEGER NOT NULL,
    start INTEGER NOT NULL,
    series INTEGER NOT NULL,
    instance TEXT NOT NULL,
    count INTEGER NOT NULL,
    sum REAL NOT NULL,
    minimum REAL NOT NULL,
    maximum REAL NOT NULL,
    last REAL NOT NULL,
    PRIMARY KEY (grain, start, series, instance)
  ) STRICT, WITHOUT ROWID;
  `,
  // Who has used how much of what, by day. A pool is named by its resource group and scale set: what it cost outlives it.
  `
  CREATE TABLE ledger (
    day TEXT NOT NULL,
    pool TEXT NOT NULL,
    user_name TEXT NOT NULL,
    size TEXT NOT NULL,
    used INTEGER NOT NULL,
    idle INTEGER NOT NULL,
    standby INTEGER NOT NULL,
    PRIMARY KEY (day, pool, user_name, size)
  ) STRICT, WITHOUT ROWID;
  CREATE TABLE ledger_seen (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    until_at INTEGER NOT NULL
  ) STRICT;
  `,
  // Sessions that were, so that autoscale settings can be tried on real days.
  `
  CREATE TABLE session_history (
    id TEXT PRIMARY KEY,
    pool_key TEXT NOT NULL,
    user_name TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER NOT NULL,
    active_until INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX session_history_by_pool ON session_history (pool_key, started_at);
  CREATE INDEX session_history_by_end ON session_history (ended_at);
  `,
  // Shares that are brought back to what a snapshot holds, and what was told of how full they are.
  `
  CREATE TABLE share_restores (
    id TEXT PRIMARY KEY,
    account TEXT NOT NULL,
    share TEXT NOT NULL,
    snapshot TEXT NOT NULL,
    path_json TEXT NOT NULL,
    before_name TEXT NOT NULL,
    state TEXT NOT NULL,
    files INTEGER NOT NULL,
    removed INTEGER NOT NULL,
    message TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    ended_at INTEGER
  ) STRICT;
  CREATE UNIQUE INDEX share_restores_running ON share_restores (account, share) WHERE state = 'Running';
  CREATE TABLE fullness (
    place TEXT PRIMARY KEY,
    told_json TEXT NOT NULL
  ) STRICT, WITHOUT ROWID;
  `,
  // What people and groups may keep on a share.
  `
  ALTER TABLE users ADD COLUMN quota INTEGER;
  ALTER TABLE user_groups ADD COLUMN quota INTEGER;
  `,
  // What happened to one instance is found without reading what happened to all.
  `
  CREATE INDEX activity_log_by_instance ON activity_log (properties_json ->> '$.instance');
  CREATE INDEX activity_log_by_hostname ON activity_log (properties_json ->> '$.hostname');
  `,
];
