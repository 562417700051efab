import type { GatewayLog } from '../protocol.ts';
import type { DirectoryView } from './directory-view.ts';
import type { SessionLedger } from './session-ledger.ts';

/** Ends the sessions of those who may no longer enter their pool: removed, disabled, or their access was taken away. */
export function endUnwelcome(
  sessions: Pick<SessionLedger, 'find'>,
  directory: Pick<DirectoryView, 'find'>,
  log: GatewayLog,
): void {
  for (const session of sessions.find(({ pool, user }) => directory.find(pool, user) === undefined)) {
    const { pool, user, instance } = session;
    log.info({ audit: 'access has ended', pool, user, instance }, 'a session is ended: its person may no longer enter');
    session.end('Your access to this pool has ended. Ask who runs it.');
  }
}
