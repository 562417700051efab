/**
 * Which new connections are dropped at once because too many have not signed in yet. Pure. As sshd's MaxStartups: from a number
 * on some are, chosen at random, so that strangers who hold theirs open do not keep everybody out; and where most come from
 * one address, those from others are let in before.
 */

export interface Crowd {
  /** Connections that have not signed in. */
  all: number;
  /** Those among them from the address of the new one. */
  fromThere: number;
}

/** From the first number on some are dropped, from the second on all but those from where few come. */
export interface StrangerLimits {
  from: number;
  to: number;
  /** Fewer than so many from one address are nobody's attack. */
  few: number;
}

/** What is kept for those from where few come, as a part of all. */
const reserve = 0.25;
const firstChance = 0.3;

/** @param chance 0 to 1, of this connection */
export function isDroppedEarly({ all, fromThere }: Crowd, { from, to, few }: StrangerLimits, chance: number): boolean {
  if (all < from) return false;
  if (fromThere < few) return all >= to * (1 + reserve);
  return all >= to || chance < firstChance + ((1 - firstChance) * (all - from)) / (to - from);
}
