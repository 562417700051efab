/**
 * Whether the JupyterHub of an instance knows its way: the proxy before it takes connections a moment before it has been
 * told where the hub is, and answers 404 until then. Nobody is to see that.
 */
import { get } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend } from '../../link/routes.ts';

export interface HubReadiness {
  isReady(backend: Backend): boolean;
  /** Resolves when it is; never rejects. */
  ready(backend: Backend): Promise<void>;
  /** The instance did not answer just now: the next time, its hub is asked again. */
  forget(instance: string): void;
}

export interface HubReadinessOptions {
  /** Between two questions to one hub. */
  intervalMs?: number;
  /** A hub that was not there until then is taken for one that never will: people see what it says. */
  giveUpMs?: number;
}

const questionLimitMs = 2_000;
const mostKnown = 1_000;
/** What a proxy says of a hub that it does not know, or does not reach. */
const notYet = new Set([404, 502, 503, 504]);

export function createHubReadiness({ intervalMs = 200, giveUpMs = 60_000 }: HubReadinessOptions = {}): HubReadiness {
  /** By instance, the oldest first. */
  const known = new Map<string, { isReady: boolean; ready: Promise<void> }>();

  async function watch(backend: Backend): Promise<void> {
    const deadline = Date.now() + giveUpMs;
    while (Date.now() < deadline && notYet.has(await statusOf(backend))) await sleep(intervalMs);
  }

  return {
    isReady: ({ instance }) => known.get(instance)?.isReady === true,
    ready(backend) {
      const { instance } = backend;
      const found = known.get(instance);
      if (found !== undefined) return found.ready;
      const hub = {
        isReady: false,
        ready: watch(backend).then(() => {
          hub.isReady = true;
        }),
      };
      known.set(instance, hub);
      for (const oldest of known.keys()) {
        if (known.size <= mostKnown) break;
        known.delete(oldest);
      }
      return hub.ready;
    },
    forget(instance) {
      known.delete(instance);
    },
  };
}

/** 0 when there is no answer at all: whoever asks it for a page finds that out, and has another machine sought. */
function statusOf({ address, port }: Backend): Promise<number> {
  return new Promise((resolve) => {
    const asked = get(
      { host: address, port, path: '/hub/health', agent: false, timeout: questionLimitMs },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode ?? 0);
      },
    );
    asked.once('timeout', () => asked.destroy());
    asked.once('error', () => {
      resolve(0);
    });
    asked.once('close', () => {
      resolve(0);
    });
  });
}
