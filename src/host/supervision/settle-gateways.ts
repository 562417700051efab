/**
 * Makes the gateways that are wanted serve. Where others are there, they are replaced without a moment in which nobody
 * listens: the new ones begin beside them, and only when these have every port that the old ones have do the old ones
 * leave. Can be cut off between any two steps: see docs/adr/026-gateways-hand-over.md.
 */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { PoolhouseError } from '../../core/errors.ts';
import { askGateway, gatewaySocketName, gatewayStateSchema, type GatewayState } from '../../link/gateway-words.ts';
import type { Progress } from '../progress.ts';
import { withMigratedRequests } from './migrate-requests.ts';
import { planGateways, type GatewayRun, type WantedGateways } from './plan-gateways.ts';

/** What a kind of supervision does with gateways, each by its serial. All of it can be repeated. */
export interface GatewayRuns {
  list(): Promise<GatewayRun[]>;
  /** These run from now on, and are begun again when they end. */
  keep(serials: readonly number[]): Promise<void>;
  /** These are not begun again any more; they run on. */
  release(serials: readonly number[]): Promise<void>;
  /** Ends these, and removes what is left of them. */
  end(serials: readonly number[]): Promise<void>;
}

export interface SettleOptions {
  runs: GatewayRuns;
  wanted: WantedGateways;
  /** Where gateways have their sockets. */
  folder: string;
  progress: Progress;
  /** How long new ones may take until they can take over. */
  takeOverMs?: number;
}

/** An instance that does not answer its first probe, or a gateway that hangs, is not waited for any longer. */
const patience = 10_000;
const leaveLimit = 15_000;
const lookEvery = 100;

export async function settleGateways(options: SettleOptions): Promise<void> {
  const { runs, wanted, folder, progress, takeOverMs = 30_000 } = options;
  const present = await runs.list();
  const plan = planGateways(present, wanted);
  await runs.end(plan.forget);
  const serving = [...plan.stay, ...plan.begin];
  await runs.keep(serving);
  const leaving = present.filter(({ serial }) => plan.leave.includes(serial));
  if (leaving.length === 0) return;

  const states = (serials: readonly number[]): Promise<GatewayWord[]> =>
    Promise.all(
      serials.map((serial) =>
        askGateway(join(folder, gatewaySocketName(serial)), { ask: 'state' }, gatewayStateSchema).catch(wordOfFailure),
      ),
    );

  if (leaving.some(({ kept }) => kept))
    await progress.step('another gateway takes over; connections go on', async () => {
      const began = Date.now();
      for (;;) {
        const [theirs, ours] = [await states(plan.leave), await states(serving)];
        const missing = missingFrom(ours, theirs, Date.now() - began > patience);
        if (missing === undefined) return;
        if (Date.now() - began > takeOverMs) {
          await runs.end(plan.begin);
          throw new PoolhouseError(
            'HostNotReady',
            `The new gateway cannot take over: ${missing}. The one that was there goes on. What the new one says: poolhouse logs gateway`,
          );
        }
        await sleep(lookEvery);
      }
    });
  await withMigratedRequests(async () => {
    await runs.release(plan.leave);
    for (const { pid } of leaving) tellToLeave(pid);
    const deadline = Date.now() + leaveLimit;
    while (
      (await states(plan.leave)).some((word) => word === 'silent' || (word !== 'gone' && word.phase === 'serving'))
    ) {
      if (Date.now() > deadline)
        throw new PoolhouseError(
          'HostNotReady',
          `A gateway that was replaced does not leave (pid ${leaving.map(({ pid }) => String(pid)).join(', ')}): it takes new connections still. The next 'poolhouse gateway restart' tells it again.`,
        );
      await sleep(lookEvery);
    }
  });
}

/** What a gateway says of itself. One that is silent lives, and has no time, or hangs. */
export type GatewayWord = GatewayState | 'gone' | 'silent';

function wordOfFailure(error: unknown): GatewayWord {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOENT' || code === 'ECONNREFUSED' ? 'gone' : 'silent';
}

/** Why the new gateways cannot take over from the old ones yet, in words; undefined where they can. Pure. */
export function missingFrom(
  ours: readonly GatewayWord[],
  theirs: readonly GatewayWord[],
  isPatient: boolean,
): string | undefined {
  if (theirs.includes('silent') && !isPatient) return 'the one that is there does not say what it has';
  const wanted = new Set(
    theirs.flatMap((word) => (typeof word !== 'string' && word.phase === 'serving' ? word.ports : [])),
  );
  for (const word of ours) {
    if (typeof word === 'string' || word.phase !== 'serving') return 'it does not answer';
    const closed = [...wanted].filter((port) => !word.ports.includes(port));
    if (closed.length > 0) return `it could not open port ${closed.join(', ')}`;
    if (!word.knowsHealth && !isPatient) return 'it does not know yet which instances are healthy';
  }
  return undefined;
}

function tellToLeave(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(pid, 'SIGUSR2');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error; // it has ended by itself
  }
}
