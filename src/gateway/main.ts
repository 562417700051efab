/**
 * The gateway process: the front door. It serves what control last said, from its state file when control is away, and
 * needs nothing of control to go on carrying bytes.
 *
 * Started as root with `--user`, it becomes that user before it accepts anything. That user must be able to reach the
 * socket (every folder above it, and the socket's group) and to write into the state file's folder.
 * SIGTERM closes the listeners and waits for connections up to `--grace`; a second signal ends at once.
 */
import { randomUUID } from 'node:crypto';
import { pino } from 'pino';
import { errorBodyOf } from '../core/errors.ts';
import { systemClock } from '../core/system-clock.ts';
import type { RoutingTable } from '../link/routes.ts';
import { createControlLink } from './control-link.ts';
import { dropPrivileges } from './drop-privileges.ts';
import { createGateway } from './gateway.ts';
import { createLinkClient } from './link-request.ts';
import { parseGatewayArguments } from './options.ts';
import type { GatewayArguments } from './options.ts';
import { runProbe } from './probes/run-probe.ts';
import { createStateWriter, readState } from './state-file.ts';

async function main(args: GatewayArguments): Promise<void> {
  if (args.user !== undefined) dropPrivileges(args.user);
  const log = pino({ level: args.logLevel, base: { process: 'gateway' } }, pino.destination({ fd: 1, sync: true }));
  const client = createLinkClient(args.socket);
  const stateWriter = createStateWriter(args.state, (error) => {
    log.error(
      { err: error, file: args.state },
      'the routing table could not be stored: a restart without control would serve an older one',
    );
  });
  const gateway = createGateway({
    id: randomUUID(),
    pid: process.pid,
    clock: systemClock,
    log,
    runProbe,
    onChange: () => {
      link.changed();
    },
    maxConnections: args.maxConnections,
  });
  const link = createControlLink({
    client,
    log,
    report: () => gateway.report(),
    onTable: (table) => {
      gateway.apply(table);
      stateWriter.save(table);
    },
  });

  const stopping = new AbortController();
  const hurry = new AbortController();
  const onSignal = (): void => {
    if (stopping.signal.aborted) hurry.abort();
    stopping.abort();
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);

  const known = await lastKnownTable();
  if (known !== undefined) gateway.apply(known);
  log.info({ pid: process.pid, revision: known?.revision }, 'gateway started');

  // Control hears what is still open until the last connection has ended.
  const talking = new AbortController();
  const talk = link.run(talking.signal);
  await aborted(stopping.signal);
  log.info({ graceMs: args.graceMs }, 'gateway stops: no new connections');
  await gateway.close(args.graceMs, hurry.signal);
  talking.abort();
  await talk;
  await stateWriter.flushed();
  client.close();
  log.info({}, 'gateway stopped');

  async function lastKnownTable(): Promise<RoutingTable | undefined> {
    try {
      return await readState(args.state);
    } catch (error) {
      log.error(
        { err: error, file: args.state },
        'the stored routing table cannot be read: serving begins when control answers',
      );
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
  process.exit(code === 'InvalidParameter' ? 2 : 1);
}
