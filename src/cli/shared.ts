import type { Home } from '../core/home.ts';

/** What every command is given. */
export interface Shared {
  home: Home;
  /** Aborts at Ctrl-C. */
  signal: AbortSignal;
}
