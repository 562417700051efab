/** Waits beside a restore, which goes on whether or not anybody waits for it. */
import type { RestoreDocument } from '../control/share-desk.ts';
import { PoolhouseError } from '../core/errors.ts';
import { UsageError } from './usage-error.ts';

const lookEvery = 500;
/** A control that was killed is there again after seconds; one that was stopped is not waited for. */
const patienceMs = 120_000;

export interface Waiting {
  /** Restores of the share, as control tells them. */
  read: () => Promise<readonly RestoreDocument[]>;
  /** How it goes, whenever that is something new. */
  tell: (message: string) => void;
  /** Aborts at Ctrl-C. */
  signal: AbortSignal;
  pause?: (milliseconds: number) => Promise<unknown>;
}

/**
 * The restore as it ended. `UsageError` where whoever waits is stopped: it says that the restore is not. A control that does not answer
 * is asked again for two minutes.
 */
export async function awaitRestore(
  begun: RestoreDocument,
  { read, tell, signal, pause = sleep }: Waiting,
): Promise<RestoreDocument> {
  let told = '';
  let away = 0;
  for (;;) {
    let present: RestoreDocument = begun;
    try {
      present = (await read()).find(({ id }) => id === begun.id) ?? begun;
      away = 0;
    } catch (error) {
      if (!(error instanceof PoolhouseError) || error.code !== 'HostNotReady' || away >= patienceMs) throw error;
      away += lookEvery;
      present = { ...begun, message: 'Control does not answer at the moment; the restore goes on as soon as it does.' };
    }
    if (present.state !== 'Running') return present;
    if (present.message !== told) tell(present.message);
    told = present.message;
    if (signal.aborted)
      throw new UsageError(`This command was stopped; the restore goes on. 'poolhouse shares show ${begun.share}' tells how it ends.`); // prettier-ignore
    await pause(lookEvery);
  }
}

const sleep = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds));
