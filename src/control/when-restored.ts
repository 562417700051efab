/** What waits while a backup is being restored: an instance that starts would show people shares that are not filled yet. */
import type { NamedPass } from './assemble.ts';

const lookDelay = 1_000;

/** The same pass, which looks at nothing and does nothing as long as a restore goes on. */
export function whenRestored(isRestoring: () => boolean, pass: NamedPass['pass']): NamedPass['pass'] {
  return (signal) => (isRestoring() ? Promise.resolve(lookDelay) : pass(signal));
}
