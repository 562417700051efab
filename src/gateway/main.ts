/**
 * The gateway process: the front door. It serves what control last said, from its state file when control is away, and
 * needs nothing of control to go on carrying bytes.
 *
 * Started as root with `--user`, it becomes that user before it accepts anything. That user must be able to reach the
 * socket (every folder above it, and the socket's group) and to write into the state file's folder.
 * SIGTERM closes the listeners and waits for connections up to `--grace`; a second signal ends at once.
 */
import { randomUUID } from 'node:crypto';
import { dirname, join } from 'node:path';
import type { ZodType } from 'zod';
import { endFailed } from '../core/end-failed.ts';
import { errorBodyOf } from '../core/errors.ts';
import { systemClock } from '../core/system-clock.ts';
import { directorySchema, type Directory } from '../link/people.ts';
import { routingTableSchema, type GatewaySettings, type RoutingTable } from '../link/routes.ts';
import { createProcessMetrics } from '../monitor/metric-registry.ts';
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
import { createStateWriter, readState } from './state-file.ts';

async function main(args: GatewayArguments): Promise<void> {
  if (args.user !== undefined) dropPrivileges(args.user);
  const directoryFile = join(dirname(args.state), 'directory.json');
  const clock = systemClock;
  const processMetrics = createProcessMetrics(args.build);
  const log = openLog('gateway', args.logLevel, (level) => {
    processMetrics.logged(level);
  });
  const metrics = createGatewayMetrics(processMetrics.registry);
  const client = createLinkClient(args.socket);
  const writerOf = <T>(file: string) =>
    createStateWriter<T>(file, (error) => {
      log.error(
        { err: error, file },
        'what control says could not be stored: a restart without control would serve something older',
      );
    });
  const tables = writerOf<RoutingTable>(args.state);
  const directories = writerOf<Directory>(directoryFile);
  const gateway = createGateway({
    id: randomUUID(),
    pid: process.pid,
    clock,
    log,
    runProbe,
    client,
    observer: metrics,
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
      tables.save(table);
      if (table.settings !== undefined) follow(table.settings);
    },
    onOrders: (orders) => {
      gateway.order(orders);
    },
    onDirectory: (directory) => {
      gateway.know(directory);
      directories.save(directory);
    },
  });
  const health = () => judgeGateway(gateway.view(), link.contact(), clock.now());
  const monitor = createMonitorServer({
    health: () => Promise.resolve(health()),
    metrics: () => {
      metrics.take(gateway.view(), gateway.traffic(), link.contact());
      return processMetrics.expose(health());
    },
    onBusy: (port, error) => {
      log.warn({ port, err: error }, 'the port for health and metrics cannot be had; trying again');
    },
    onError: (error) => {
      log.error({ err: error }, 'a question for health or metrics could not be answered');
    },
  });
  if (args.metricsPort !== undefined) monitor.serveOn(args.metricsPort);

  const stopping = new AbortController();
  const hurry = new AbortController();
  const onSignal = (): void => {
    if (stopping.signal.aborted) hurry.abort();
    stopping.abort();
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);

  const people = await lastKnown(directoryFile, directorySchema);
  if (people !== undefined) gateway.know(people);
  const known = await lastKnown(args.state, routingTableSchema);
  if (known !== undefined) gateway.apply(known);
  // The port is the one we were started with: control, when it answers, knows a newer one.
  if (known?.settings !== undefined) log.level = known.settings.logLevel;
  log.info({ pid: process.pid, revision: known?.revision }, 'gateway started');

  // Control hears what is still open until the last connection has ended.
  const talking = new AbortController();
  const talk = link.run(talking.signal);
  await aborted(stopping.signal);
  log.info({ graceMs: args.graceMs }, 'gateway stops: no new connections');
  await gateway.close(args.graceMs, hurry.signal);
  talking.abort();
  await talk;
  await Promise.all([tables.flushed(), directories.flushed()]);
  client.close();
  await monitor.close();
  log.info({}, 'gateway stopped');

  /** What an operator has changed meanwhile, without an end to any connection. */
  function follow({ logLevel, metricsPort }: GatewaySettings): void {
    log.level = logLevel;
    if (metricsPort !== undefined) monitor.serveOn(metricsPort);
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
