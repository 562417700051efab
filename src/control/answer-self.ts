/**
 * Answers what people ask about their own account, by whichever protocol they came: the gateway says who they are, and here
 * stands what they may change (password and public keys, nothing else) and what it takes. Changes are those of the API, with
 * its rules and its line in the log.
 */
import { PoolhouseError } from '../core/errors.ts';
import { checkOwnPassword } from '../identity/own-password.ts';
import { verifyPassword } from '../identity/passwords.ts';
import { mayEnter, type User } from '../identity/people.ts';
import { parseSshKey, parseSshKeys, type SshKey } from '../identity/ssh-keys.ts';
import type { OwnAccount, SelfAnswer, SelfQuestion } from '../link/people.ts';
import type { IdentityCollection } from '../providers/identity/identity-service.ts';
import { findPerson } from '../providers/identity/people.ts';
import { poolNameOf } from '../providers/identity/pool-names.ts';
import type { Secrets } from '../secrets/secrets.ts';
import type { Store } from '../store/store.ts';

export interface AnswerSelfParts {
  store: Store;
  secrets: Pick<Secrets, 'reveal'>;
  users: Pick<IdentityCollection, 'get' | 'patch'>;
}

/** Somebody who asks again while they are answered is not told about what lies between. */
const mostTries = 4;
/** Questions that may wait: each may cost two thirds of a second of a core. */
const mostWaiting = 32;

export function createAnswerSelf({ store, secrets, users }: AnswerSelfParts) {
  let last: Promise<unknown> = Promise.resolve();
  let waiting = 0;

  /** One after the other, so that nobody's guesses take the machine. */
  return async function answerSelf(question: SelfQuestion): Promise<SelfAnswer> {
    if (waiting >= mostWaiting) return refused('Too many people change their accounts. Try again in a minute.');
    waiting += 1;
    const answer = last.then(() => answerNow(question));
    last = answer.catch(() => undefined);
    try {
      return await answer;
    } catch (error) {
      if (!(error instanceof PoolhouseError)) throw error;
      return refused(error.message);
    } finally {
      waiting -= 1;
    }
  };

  async function answerNow(question: SelfQuestion): Promise<SelfAnswer> {
    for (let tries = 1; ; tries += 1) {
      try {
        return await answerOnce(question);
      } catch (error) {
        // An operator changed something of theirs at the same time.
        if (!(error instanceof PoolhouseError) || error.code !== 'PreconditionFailed' || tries >= mostTries)
          throw error;
      }
    }
  }

  async function answerOnce({ pool, user: name, protocol, client, asks }: SelfQuestion): Promise<SelfAnswer> {
    const { etag } = await users.get(name).catch(() => ({ etag: undefined }));
    const person = await findPerson(store.db, secrets, name);
    if (person === undefined || typeof etag !== 'string')
      return refused(
        `'${name}' belongs to the template of this pool: password and keys are what the template says, and change when it is deployed again. Ask who runs the pool for an account of your own.`,
      );
    const { user, groups } = person;
    if (!mayEnter(user, groups, poolNameOf(pool))) return refused('You may not enter this pool any more.');
    const change = async (
      message: string,
      properties: { password?: string; sshKeys?: string[] },
    ): Promise<SelfAnswer> => {
      const asker = { by: `${name}, over ${protocol} from ${client}` };
      await users.patch(name, { properties }, { ifMatch: etag }, asker);
      const hasPassword = properties.password !== undefined || user.passwordHash !== undefined;
      return done(message, name, hasPassword, properties.sshKeys ?? user.sshKeys);
    };

    switch (asks.for) {
      case 'account':
        return unchanged('This is your account.', user);
      case 'password': {
        if (user.passwordHash !== undefined && !(await verifyPassword(asks.old ?? '', user.passwordHash)))
          return {
            outcome: 'wrong password',
            message: 'That is not your password until now. If you do not know it, ask who runs the pool.',
          };
        checkOwnPassword(name, user.passwordHash === undefined ? undefined : asks.old, asks.new);
        return change('Your password is another now.', { password: asks.new });
      }
      case 'more keys': {
        const given = parseSshKeys(asks.lines);
        if (given.length === 0)
          return refused(`There is no public key. It is a line such as 'ssh-ed25519 AAAA… me@laptop'.`);
        const known = user.sshKeys.map(parseSshKey);
        const more = given.filter((key) => !known.some(({ fingerprint }) => fingerprint === key.fingerprint));
        if (more.length === 0) return unchanged('You have that key already.', user);
        return change(`Added: ${more.map(({ fingerprint }) => fingerprint).join(', ')}`, {
          sshKeys: [...known, ...more].map(({ line }) => line),
        });
      }
      case 'less keys': {
        const keys = user.sshKeys.map(parseSshKey);
        const gone = findKey(keys, asks.fingerprint);
        const left = keys.filter((key) => key !== gone);
        if (left.length === 0 && user.passwordHash === undefined)
          return refused(
            'It is your only key, and you have no password: nothing would let you in any more. Add another first.',
          );
        return change(`Removed: ${gone.fingerprint}`, { sshKeys: left.map(({ line }) => line) });
      }
    }
  }
}

/** By its fingerprint, with or without `SHA256:`, or by the beginning of one that is long enough to mean one key. */
function findKey(keys: readonly SshKey[], text: string): SshKey {
  const asked = text.trim().replace(/^SHA256:/i, '');
  const found = keys.filter(({ fingerprint }) => fingerprint.slice('SHA256:'.length).startsWith(asked));
  const [key, other] = found;
  if (asked.length < 4 || key === undefined)
    throw new PoolhouseError('InvalidParameter', `None of your keys has that fingerprint. 'keys list' shows them.`);
  if (other !== undefined)
    throw new PoolhouseError('InvalidParameter', `More than one of your keys begins so. Give the whole fingerprint.`);
  return key;
}

function unchanged(message: string, { name, passwordHash, sshKeys }: User): SelfAnswer {
  return done(message, name, passwordHash !== undefined, sshKeys);
}

function done(message: string, user: string, hasPassword: boolean, lines: readonly string[]): SelfAnswer {
  const keys = lines.map(parseSshKey).map(({ type, fingerprint, comment }) => ({ type, fingerprint, comment }));
  const account: OwnAccount = { user, hasPassword, keys };
  return { outcome: 'done', message, account };
}

const refused = (message: string): SelfAnswer => ({ outcome: 'refused', message });
