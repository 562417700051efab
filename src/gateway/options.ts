/** The gateway's command line. Other programs start it; people read this when they look at `ps`. */
import { parseArgs } from 'node:util';
import { PoolhouseError } from '../core/errors.ts';
import { logLevels, type LogLevel } from '../core/log-levels.ts';

export interface GatewayArguments {
  /** Control's Unix socket. */
  socket: string;
  /** Where the last routing table is kept; in the same folder gateways have their sockets. */
  state: string;
  /** Names it among the gateways of its installation. */
  serial: number;
  /** Who to become after the start; undefined: stay who we are. */
  user: string | undefined;
  /** How long connections may go on after SIGTERM, in milliseconds. */
  graceMs: number;
  maxConnections: number;
  /** Until control says another, now or in the stored table. */
  logLevel: LogLevel;
  /** Where to tell health and metrics, on loopback, until control says another; undefined: nowhere. */
  metricsPort: number | undefined;
  /** Which build this is, for the metrics. */
  build: string;
}

const usage =
  'usage: main.ts --socket PATH --state FILE [--serial N] [--user NAME] [--grace SECONDS] [--max-connections N] [--log-level LEVEL] [--metrics-port PORT] [--build VERSION]';

/** Reads the arguments; `InvalidParameter` says what is wrong with them. */
export function parseGatewayArguments(argv: readonly string[]): GatewayArguments {
  let values;
  try {
    ({ values } = parseArgs({
      args: [...argv],
      options: {
        socket: { type: 'string' },
        state: { type: 'string' },
        serial: { type: 'string', default: '1' },
        user: { type: 'string' },
        grace: { type: 'string', default: '10' },
        'max-connections': { type: 'string', default: '20000' },
        'log-level': { type: 'string', default: 'info' },
        'metrics-port': { type: 'string' },
        build: { type: 'string', default: 'unknown' },
      },
    }));
  } catch (error) {
    throw new PoolhouseError(
      'InvalidParameter',
      `${error instanceof Error ? error.message : 'Wrong arguments.'} ${usage}`,
      { cause: error },
    );
  }
  const { socket, state, user } = values;
  if (socket === undefined || state === undefined) {
    throw new PoolhouseError('InvalidParameter', `--socket and --state are needed. ${usage}`);
  }
  const level = logLevels.find((one) => one === values['log-level']);
  if (level === undefined) {
    throw new PoolhouseError(
      'InvalidParameter',
      `'${values['log-level']}' is not a log level: ${logLevels.join(', ')}.`,
    );
  }
  const port = values['metrics-port'];
  return {
    socket,
    state,
    serial: numberOf('--serial', values.serial, 1, Number.MAX_SAFE_INTEGER),
    user,
    graceMs: numberOf('--grace', values.grace, 0, 86_400) * 1000,
    maxConnections: numberOf('--max-connections', values['max-connections'], 1, 1_000_000),
    logLevel: level,
    metricsPort: port === undefined ? undefined : numberOf('--metrics-port', port, 1, 65_535),
    build: values.build,
  };
}

function numberOf(name: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= min && value <= max)) {
    throw new PoolhouseError(
      'InvalidParameter',
      `${name} '${text}' must be a number from ${String(min)} to ${String(max)}.`,
    );
  }
  return value;
}
