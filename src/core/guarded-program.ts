/**
 * How our own programs are started. What they hold in memory is secret, so they leave no core behind: a limit of one byte
 * also holds where cores are piped to a program, which a limit of none does not stop. And they open no debugger to whoever
 * may send them a signal.
 *
 * What strangers speak to gets no rights that it could win back: no program that it starts is more than itself, whatever
 * its file says, and of root's capabilities it begins with those it needs to become somebody else.
 */
const noCore = ['prlimit', '--core=1:1'];
const fewRights = ['setpriv', '--no-new-privs', '--bounding-set=-all,+setuid,+setgid,+dac_read_search'];

/** The command line for a program of ours: `argv` is its module and its arguments. */
export function guardedProgram(argv: readonly string[], options: { fewRights: boolean }): string[] {
  return [...noCore, ...(options.fewRights ? fewRights : []), process.execPath, '--disable-sigusr1', ...argv];
}
