/**
 * The gateway process: the front door. It serves what control last said, from its state file when control is away, and
 * needs nothing of control to go on carrying bytes.
 *
 * Started as root with `--user`, it becomes that user before it accepts anything. That user must be able to reach the
 * socket (every folder above it, and the socket's group) and to write into the state file's folder.
 * SIGTERM closes the listeners and waits for connections up to `--grace`; a second signal ends at once. SIGUSR2 says that
 * another gateway serves from now on: this one closes its listeners and carries its connections to their end, for hours.
 */
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ZodType } from 'zod';
import { setTimeout as sleep } from 'node:timers/promises';
import { endFailed } from '../core/end-failed.ts';
import { errorBodyOf } from '../core/errors.ts';
import { systemClock } from '../core/system-clock.ts';
import { createGatewayDoor, gatewaySocketName } from '../link/gateway-words.ts';
import { directorySchema, type Directory } from '../link/people.ts';
import { routingTableSchema, type GatewaySettings, type RoutingTable } from '../link/routes.ts';
import { createProcessMetrics, metricsSchema, sumMetrics } from '../monitor/metric-registry.ts';
import { createMonitorServer } from '../monitor/monitor-server.ts';
import { openLog } from '../monitor/open-log.ts';
import { createControlLink } from './control-link.ts';
import { dropPrivileges } from './drop-privileges.ts';
import { judgeGateway } from './gateway-health.ts';
import { createGatewayMetrics } from './gateway-metrics.ts';
import { createGateway } from './gateway.ts';
import { createLinkClient } from './link-request.ts';
import { parseGatewayArguments } from './options.ts';
import type { GatewayArguments } from './options.ts';
import { runProbe } from './probes/run-probe.ts';
import { createSiblings } from './siblings.ts';
import { createStateWriter, readState } from './state-file.ts';

const hour = 3_600_000;
/** One that leaves looks so often whether it carries anything. */
const lookEvery = 200;
const defaultLeaveHours = 24;
const lastWordMs = 1_000;

async function main(args: GatewayArguments): Promise<void> {
  if (args.user !== undefined) dropPrivileges(args.user);
  const { serial } = args;
  const stopping = new AbortController();
  const hurry = new AbortController();
  /** Aborted where another gateway has taken over: what is said to the next one is its affair. */
  const leaving = new AbortController();
  let leaveMs = defaultLeaveHours * hour;
  const folder = dirname(args.state);
  const directoryFile = join(folder, 'directory.json');
  const clock = systemClock;
  const processMetrics = createProcessMetrics(args.build);
  const log = openLog('gateway', args.logLevel, (level) => {
    processMetrics.logged(level);
  });
  const metrics = createGatewayMetrics(processMetrics.registry);
  const client = createLinkClient(args.socket);
  const writerOf = <T>(file: string) =>
    createStateWriter<T>(file, `${file}.${String(serial)}`, (error) => {
      log.error(
        { err: error, file },
        'what control says could not be stored: a restart without control would serve something older',
      );
    });
  const tables = writerOf<RoutingTable>(args.state);
  const directories = writerOf<Directory>(directoryFile);
  const siblings = createSiblings(folder, serial);
  const gateway = createGateway({
    id: randomUUID(),
    serial,
    pid: process.pid,
    clock,
    log,
    runProbe,
    client,
    siblings,
    observer: metrics,
    onSignInEnded: (ended) => {
      link.signInEnded(ended);
      void siblings.tellEnded(ended);
    },
    onChange: () => {
      link.changed();
    },
    maxConnections: args.maxConnections,
  });
  const link = createControlLink({
    client,
    clock,
    log,
    report: () => gateway.report(),
    onTable: (table) => {
      gateway.apply(table);
      if (!leaving.signal.aborted) tables.save(table);
      if (table.settings !== undefined) follow(table.settings);
    },
    onOrders: (orders) => {
      gateway.order(orders);
    },
    onDirectory: (directory) => {
      gateway.know(directory);
      if (!leaving.signal.aborted) directories.save(directory);
    },
  });
  const ownMetrics = () => {
    metrics.take(gateway.view(), gateway.traffic(), link.contact());
    return processMetrics.values(health());
  };
  const health = () => judgeGateway(gateway.view(), link.contact(), clock.now());
  const monitor = createMonitorServer({
    health: () => Promise.resolve(health()),
    // One port for all gateways of an installation: whoever has it tells of all.
    metrics: async () => sumMetrics([await ownMetrics(), ...(await siblings.ask({ ask: 'metrics' }, metricsSchema))]),
    onBusy: (port, error) => {
      log.warn({ port, err: error }, 'the port for health and metrics cannot be had; trying again');
    },
    onError: (error) => {
      log.error({ err: error }, 'a question for health or metrics could not be answered');
    },
  });
  if (args.metricsPort !== undefined) monitor.serveOn(args.metricsPort);

  const onSignal = (): void => {
    if (stopping.signal.aborted) hurry.abort();
    stopping.abort();
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  // It is one connection's: all others go on.
  process.on('unhandledRejection', (error) => {
    log.error({ err: error }, 'something failed that nobody waited for');
  });
  process.on('SIGUSR2', () => {
    leaving.abort();
  });

  const people = await lastKnown(directoryFile, directorySchema);
  if (people !== undefined) gateway.know(people);
  const known = await lastKnown(args.state, routingTableSchema);
  if (known !== undefined) gateway.apply(known);
  // The port is the one we were started with: control, when it answers, knows a newer one.
  if (known?.settings !== undefined) log.level = known.settings.logLevel;
  // Last: who hears an answer may rely on it.
  const door = await openDoor(join(folder, gatewaySocketName(serial)));
  log.info({ pid: process.pid, serial, revision: known?.revision }, 'gateway started');

  // Control hears what is still open until the last connection has ended.
  const talking = new AbortController();
  const talk = link.run(talking.signal);
  await aborted(AbortSignal.any([stopping.signal, leaving.signal]));
  if (!stopping.signal.aborted) await leave();
  log.info({ graceMs: args.graceMs }, 'gateway stops: no new connections');
  await gateway.close(args.graceMs, hurry.signal);
  talking.abort();
  await talk;
  await client
    .send('POST', '/v1/reports', { body: gateway.report(), limitMs: lastWordMs, signal: hurry.signal })
    .catch(() => undefined); // control finds out by our silence
  door.close();
  await Promise.all([tables.flushed(), directories.flushed()]);
  client.close();
  await monitor.close();
  log.info({}, 'gateway stopped');

  /** What an operator has changed meanwhile, without an end to any connection. */
  function follow({ logLevel, metricsPort, leaveHours }: GatewaySettings): void {
    log.level = logLevel;
    if (leaveHours !== undefined) leaveMs = leaveHours * hour;
    if (metricsPort !== undefined && !leaving.signal.aborted) monitor.serveOn(metricsPort);
  }

  /** Carries what there is until the last of it has ended, or for as long as it may. */
  async function leave(): Promise<void> {
    const since = Date.now();
    gateway.leave();
    log.info({ connections: gateway.state().connections }, 'another gateway serves: this one leaves');
    await monitor.close(); // the other one waits for the port
    const isOver = () => stopping.signal.aborted || gateway.state().connections === 0;
    // The limit may be another one tomorrow.
    while (!isOver() && Date.now() - since < leaveMs)
      await sleep(lookEvery, undefined, { signal: stopping.signal }).catch(() => undefined);
    if (isOver()) return;
    log.warn(
      { connections: gateway.state().connections },
      'this gateway has carried on for as long as it may: it ends',
    );
    gateway.endSessions('The connection has been carried by an older part of the gateway, which ends now. Come again.');
  }

  async function openDoor(path: string): Promise<ReturnType<typeof createGatewayDoor>> {
    const opened = createGatewayDoor((question) => {
      switch (question.ask) {
        case 'state':
          return gateway.state();
        case 'places':
          return gateway.places(question.pool, question.user);
        case 'metrics':
          return ownMetrics();
        case 'ended sign-in':
          gateway.knowEnded(question.ended);
          link.signInEnded(question.ended);
          return {};
      }
    });
    await rm(path, { force: true }); // of a run that was killed
    opened.listen(path);
    await once(opened, 'listening');
    return opened;
  }

  async function lastKnown<T>(file: string, schema: ZodType<T>): Promise<T | undefined> {
    try {
      return await readState(file, schema);
    } catch (error) {
      log.error({ err: error, file }, 'what control said last cannot be read: serving begins when it answers');
      return undefined;
    }
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else
      signal.addEventListener(
        'abort',
        () => {
          resolve();
        },
        { once: true },
      );
  });
}

try {
  await main(parseGatewayArguments(process.argv.slice(2)));
  // Sockets that somebody else holds open must not keep a stopped gateway alive.
  process.exit(0);
} catch (error) {
  const { code, message } = errorBodyOf(error);
  const text = code === 'InternalServerError' && error instanceof Error ? (error.stack ?? message) : message;
  process.stderr.write(`${text}\n`);
  await endFailed(code === 'InvalidParameter' ? 2 : 1);
}
