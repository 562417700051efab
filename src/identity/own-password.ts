/** What may be the password that a person chooses for themselves. Pure. */
import { PoolhouseError } from '../core/errors.ts';
import { checkPassword } from './passwords.ts';

/** Beside the length: what is guessed first. Operators may set what they like, for it lasts until it is changed here. */
const fewestDifferent = 5;

/**
 * Throws `InvalidParameter` with a sentence for the person unless the new password is good enough.
 *
 * @param old the one until now; undefined where there is none
 */
export function checkOwnPassword(user: string, old: string | undefined, chosen: string): void {
  checkPassword(chosen);
  const refuse = (why: string) => new PoolhouseError('InvalidParameter', why, { target: 'properties.password' });
  if (chosen === old) throw refuse('The new password is the old one.');
  if (chosen.toLowerCase().includes(user)) throw refuse('A password does not hold the name that it is for.');
  if (new Set(chosen.toLowerCase()).size < fewestDifferent)
    throw refuse(`A password has at least ${fewestDifferent} different characters.`);
}
