/**
 * What control tells of itself: its health, and its metrics. Made before all else, so that a start that takes long, or
 * does not come to its end, can be seen too; what there is to look at is added when it is there.
 */
import { X509Certificate } from 'node:crypto';
import { stat, statfs } from 'node:fs/promises';
import type { Logger } from 'pino';
import type { Home } from '../core/home.ts';
import type { Clock } from '../core/time.ts';
import type { ProcessMetrics } from '../monitor/metric-registry.ts';
import { createMonitorServer } from '../monitor/monitor-server.ts';
import type { Certificates } from '../secrets/certificates.ts';
import { openOperationCounts } from '../store/operations.ts';
import { answers } from '../store/store.ts';
import { judgeControl, type ControlHealth } from './control-health.ts';
import type { ControlMetrics, ControlMoment } from './control-metrics.ts';
import type { ShareFullness } from './fullness-loop.ts';
import type { LoopWatch } from './loop-watch.ts';
import type { ObservedEngine } from './observe-engine.ts';
import { readPoolFacts } from './pool-facts.ts';
import type { Placements } from './placements.ts';
import type { World } from './world.ts';

export interface ControlMonitorParts {
  home: Pick<Home, 'folder' | 'store'>;
  processMetrics: ProcessMetrics;
  metrics: ControlMetrics;
  loops: LoopWatch;
  engine: ObservedEngine;
  clock: Clock;
  log: Logger;
}

/** What there is to look at while control serves. */
export interface Serving {
  world: Pick<World, 'store' | 'live' | 'reports'>;
  placements: Pick<Placements, 'waiting' | 'usersOn'>;
  /** How full they were seen to be. */
  shares(): readonly ShareFullness[];
  apiListens(): boolean;
  certificates(): Pick<Certificates, 'certificatePem' | 'caPem'>;
}

export interface ControlMonitor {
  serveOn(port: number): void;
  serves(serving: Serving): void;
  stops(): void;
  health(): Promise<ControlHealth>;
  close(): Promise<void>;
}

export function createControlMonitor(parts: ControlMonitorParts): ControlMonitor {
  const { home, processMetrics, metrics, loops, engine, clock, log } = parts;
  let notServing: string | undefined = 'Control starts.';
  let serving: Serving | undefined;

  async function health(): Promise<ControlHealth> {
    const failure = serving === undefined ? undefined : await storeFailure(serving);
    return judgeControl(
      {
        notServing,
        loops: loops.facts(),
        storeFailure: failure,
        engine: engine.facts(),
        apiListens: serving?.apiListens() === true,
        freeBytes: (await roomOf(home.folder))?.freeBytes,
        gatewaySeenAt: serving?.world.reports.seenAt(),
      },
      clock.now(),
    );
  }

  async function moment(): Promise<ControlMoment> {
    const there = serving;
    const fileSystem = await roomOf(home.folder);
    const common = {
      loops: loops.facts(),
      hostMemoryBytes: engine.engine.capabilities().memoryBytes,
      storeBytes: await storeSize(home.store),
      ...(fileSystem === undefined ? {} : { fileSystem }),
    };
    if (there === undefined) return { ...common, certificates: [], gatewaySeenAt: undefined };
    const { certificatePem, caPem } = there.certificates();
    const stored = await Promise.all([
      readPoolFacts(there.world, there.placements),
      openOperationCounts(there.world.store.db),
    ]).catch((error: unknown) => {
      log.warn({ err: error }, 'the metrics leave the pools out: the store could not be read');
      return undefined;
    });
    return {
      ...common,
      ...(stored === undefined ? {} : { pools: stored[0], openOperations: stored[1] }),
      certificates: [
        { certificate: 'server', expiresAt: endOf(certificatePem) },
        { certificate: 'authority', expiresAt: endOf(caPem) },
      ],
      shares: there.shares(),
      gatewaySeenAt: there.world.reports.seenAt(),
    };
  }

  const server = createMonitorServer({
    health,
    async metrics() {
      metrics.take(await moment());
      return processMetrics.expose(await health());
    },
    onBusy: (port, error) => {
      log.warn({ port, err: error }, 'the port for health and metrics cannot be had; trying again');
    },
    onError: (error) => {
      log.error({ err: error }, 'a question for health or metrics could not be answered');
    },
  });
  return {
    serveOn: (port) => {
      server.serveOn(port);
    },
    serves(now) {
      serving = now;
      notServing = undefined;
    },
    stops() {
      notServing = 'Control stops.';
    },
    health,
    close: () => server.close(),
  };
}

async function storeFailure({ world }: Serving): Promise<string | undefined> {
  try {
    await answers(world.store);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : 'it failed';
  }
}

async function roomOf(folder: string): Promise<{ freeBytes: number; sizeBytes: number } | undefined> {
  const found = await statfs(folder).catch(() => undefined); // then it is not told
  return found === undefined
    ? undefined
    : { freeBytes: found.bavail * found.bsize, sizeBytes: found.blocks * found.bsize };
}

/** The file, and what SQLite keeps beside it until it is taken over. */
async function storeSize(file: string): Promise<number> {
  const sizes = await Promise.all(
    [file, `${file}-wal`].map((one) =>
      stat(one).then(
        ({ size }) => size,
        () => 0, // not there (yet)
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

function endOf(pem: string): number {
  return new X509Certificate(pem).validToDate.getTime();
}
