/** How grave a line of a log is, from what helps to find a defect to what an operator has to act on. */
export const logLevels = ['trace', 'debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof logLevels)[number];
