/**
 * The log of a process: one JSON line an event on its standard output, each line counted by its level. A log that cannot be
 * written (the disk is full) ends nobody's connections: lines wait until there is room, and when too many wait they are
 * left out.
 */
import { pino, type Logger } from 'pino';
import type { LogLevel } from '../core/log-levels.ts';

const mostWaitingBytes = 2 ** 20;

export function openLog(process: string, level: LogLevel, onLine: (level: string) => void = () => undefined): Logger {
  const destination = pino.destination({ fd: 1, sync: true, maxLength: mostWaitingBytes });
  // Without a listener the first line that finds no room would end the process. The next line tries it again.
  destination.on('error', () => undefined);
  return pino(
    {
      level,
      base: { process },
      hooks: {
        logMethod(args, method, number) {
          onLine(this.levels.labels[number] ?? 'info');
          method.apply(this, args);
        },
      },
    },
    destination,
  );
}
