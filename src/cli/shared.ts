import type { Home } from '../core/home.ts';

/** What every command is given. */
export interface Shared {
  home: Home;
  /** How this program was called: what is printed to be typed again begins with it. */
  program: string;
  /** Aborts at Ctrl-C. */
  signal: AbortSignal;
}
