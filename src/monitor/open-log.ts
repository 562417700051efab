/** The log of a process: one JSON line an event on its standard output, each line counted by its level. */
import { pino, type Logger } from 'pino';
import type { LogLevel } from '../core/log-levels.ts';

export function openLog(process: string, level: LogLevel, onLine: (level: string) => void): Logger {
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
    pino.destination({ fd: 1, sync: true }),
  );
}
