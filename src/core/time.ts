/** Milliseconds since 1970-01-01 UTC. */
export type EpochMillis = number;

/** Where the time comes from. An argument everywhere, so that tests and simulations bring their own. */
export interface Clock {
  now(): EpochMillis;
  /** Resolves after `ms`, rejects with the signal's reason as soon as it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}
