import type { Route } from '../../link/routes.ts';
import type { ProtocolContext } from '../protocol.ts';
import type { DirectoryView } from './directory-view.ts';
import type { OwnAccounts } from './own-account.ts';
import type { Placer } from './placer.ts';
import type { SessionLedger } from './session-ledger.ts';
import type { SignIn } from './sign-in.ts';

/** What the house gives to the protocols that know people. */
export interface PeopleContext extends Omit<ProtocolContext, 'prober'> {
  directory: DirectoryView;
  signIn: SignIn;
  placer: Placer;
  ownAccounts: OwnAccounts;
  sessions: SessionLedger;
  newTicket: () => string;
  /** A route as it is now: who waits is placed where nobody was when they came. */
  routeNow: (id: string) => Route | undefined;
}
