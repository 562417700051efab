/**
 * Which gateways begin, leave and are forgotten, so that those serve that are wanted. Pure: what there is comes in, so a
 * change that was cut off is completed by the next one.
 */

/** One run of a gateway, by its number. */
export interface GatewayRun {
  serial: number;
  /** It is begun again when it ends. */
  kept: boolean;
  /** Undefined where it does not run. */
  pid: number | undefined;
  /** What it was begun with, in one word. */
  mark: string | undefined;
}

export interface WantedGateways {
  /** What they are to be begun with, in one word. */
  mark: string;
  /** How many serve at a time. */
  count: number;
  /** None that is there now may stay. */
  anew: boolean;
}

export interface GatewayPlan {
  /** Serials of those that are as wanted, whether they run at this moment or not. */
  stay: number[];
  /** Serials that nobody has had. */
  begin: number[];
  /** They run, and make room for others. */
  leave: number[];
  /** Of these nothing runs: what is left of them goes. */
  forget: number[];
}

export function planGateways(runs: readonly GatewayRun[], { mark, count, anew }: WantedGateways): GatewayPlan {
  const youngestFirst = runs.toSorted((a, b) => b.serial - a.serial);
  const stay = youngestFirst.filter((run) => !anew && run.kept && run.mark === mark).slice(0, count);
  const others = youngestFirst.filter((run) => !stay.includes(run));
  const last = youngestFirst[0]?.serial ?? 0;
  const serials = (some: readonly GatewayRun[]) => some.map(({ serial }) => serial);
  return {
    stay: serials(stay),
    begin: Array.from({ length: count - stay.length }, (_, index) => last + 1 + index),
    leave: serials(others.filter(({ pid }) => pid !== undefined)),
    forget: serials(others.filter(({ pid }) => pid === undefined)),
  };
}
