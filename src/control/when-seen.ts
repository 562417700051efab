/** What waits for the first look at the engine: before it every instance seems to be away, and nothing would lead anywhere. */
import type { Clock } from '../core/time.ts';
import type { NamedPass } from './assemble.ts';

const lookDelay = 200;
/** An engine that does not answer keeps nobody waiting for ever: the kernel's rules protect the host, too. */
const longestWait = 10_000;

/** The same pass, which does nothing until the engine was seen, or did not answer for a while. */
export function whenSeen(isSeen: () => boolean, clock: Pick<Clock, 'now'>, pass: NamedPass['pass']): NamedPass['pass'] {
  const since = clock.now();
  return (signal) => (isSeen() || clock.now() - since >= longestWait ? pass(signal) : Promise.resolve(lookDelay));
}
