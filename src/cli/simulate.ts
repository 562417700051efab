import { readFile, writeFile } from 'node:fs/promises';
import { Command } from 'commander';
import { createProgress, silentProgress } from '../host/progress.ts';
import { drawSimulation } from '../simulate/draw-simulation.ts';
import { generateTrace } from '../simulate/generate-trace.ts';
import { readSetting } from '../simulate/read-setting.ts';
import { measuredTimes } from '../simulate/replay.ts';
import { simulate, type SimulationOptions } from '../simulate/simulate.ts';
import { readTrace, type TraceSession } from '../simulate/trace.ts';
import { parseAs } from './deployment-parameters.ts';
import { describeSimulation } from './describe-simulation.ts';
import type { PoolHistory } from '../control/pool-history.ts';
import { readPoolHistory } from './pool-history.ts';
import { plainText } from './plain-text.ts';
import type { Shared } from './shared.ts';
import { readSource, readStandby, wholeNumber, type SessionSource } from './simulate-options.ts';
import { UsageError } from './usage-error.ts';

interface SimulateOptions {
  setting: string;
  sessions: string;
  pool?: string;
  usersPerInstance?: string;
  standby?: string;
  placement?: string;
  drainMinutes?: string;
  idleMinutes?: string;
  cpuPerPerson?: string;
  json?: boolean;
  svg?: string;
}

/** Where neither an option nor a pool says otherwise. */
const usual = { usersPerInstance: 4, drainMinutes: 30, idleMinutes: 120 } as const;
const minute = 60_000;

export function simulateCommand({ home, signal }: Shared): Command {
  return new Command('simulate')
    .description('try an autoscale setting on sessions of a day, in simulated time')
    .requiredOption(
      '--setting <file>',
      'the autoscale setting: a resource, a template with one, or what az shows of it',
    )
    .requiredOption(
      '--sessions <trace>',
      'a file of user,start,end[,activeUntil] (CSV or JSON lines); generated[:people=200,days=1,seed=1]; recorded (needs --pool)',
    )
    .option('--pool <pool>', 'group/name of a pool here: its tags are taken, and its sessions with --sessions recorded')
    .option('--users-per-instance <n>', `people that an instance takes (${usual.usersPerInstance})`)
    .option('--standby <n[:frozen]>', 'prepared instances that wait stopped, or frozen (0)')
    .option('--placement <how>', 'fewest-users or most-users, as the tag poolhouse-placement (fewest-users)')
    .option('--drain-minutes <n>', `how long a surplus instance waits for people (${usual.drainMinutes})`)
    .option('--idle-minutes <n>', `who has not worked for so long is idle (${usual.idleMinutes})`)
    .option('--cpu-per-person <percent>', `what one who works takes of an instance's CPU (100 / people)`)
    .option('--json', 'print one JSON document')
    .option('--svg <file>', 'draw instances over time into a file')
    .addHelpText(
      'after',
      [
        '',
        'Examples:',
        '  poolhouse simulate --setting setting.json --sessions generated --standby 2',
        '  poolhouse simulate --setting setting.json --sessions week.csv --users-per-instance 8 --svg week.svg',
        '  poolhouse simulate --setting setting.json --sessions recorded --pool team/pool',
        '  az monitor autoscale show -g team -n by-people > now.json',
        '  poolhouse simulate --setting now.json --sessions generated:people=50,days=7 --json',
        '',
        'Times of a trace are ISO 8601 or seconds since 1970. Nothing of the pool itself is changed.',
      ].join('\n'),
    )
    .action(async (options: SimulateOptions) => {
      const source = readSource(options.sessions);
      if (source.from === 'recorded' && options.pool === undefined)
        throw new UsageError('--sessions recorded needs --pool GROUP/NAME: whose sessions?');
      const setting = readSetting(parseAs(`The setting '${options.setting}'`, await readTextFile(options.setting)));
      const history = options.pool === undefined ? undefined : await readPoolHistory(home, options.pool);
      const chosen = poolOf(options, history);
      const sessions = await sessionsOf(source, history);
      const progress = options.json === true ? silentProgress : createProgress(process.stderr);
      const result = await progress.step(`Replaying ${sessions.length} sessions`, () =>
        simulate(sessions, setting, chosen, signal),
      );
      if (options.svg !== undefined) await writeTextFile(options.svg, drawSimulation(result));
      process.stdout.write(
        options.json === true
          ? `${JSON.stringify(documentOf(result, chosen), null, 2)}\n`
          : plainText(describeSimulation(result, describePool(chosen))),
      );
    });
}

function poolOf(options: SimulateOptions, history: PoolHistory | undefined): SimulationOptions {
  const number = (name: string, text: string | undefined, least: number, most: number) =>
    text === undefined ? undefined : wholeNumber(name, text, least, most);
  const { settings } = history ?? {};
  const usersPerInstance =
    number('--users-per-instance', options.usersPerInstance, 1, 1_000) ??
    settings?.placement.usersPerInstance ??
    usual.usersPerInstance;
  const prefer = options.placement ?? settings?.placement.prefer ?? 'fewest-users';
  if (prefer !== 'fewest-users' && prefer !== 'most-users')
    throw new UsageError(`--placement is fewest-users or most-users, not '${prefer}'.`);
  const drain = number('--drain-minutes', options.drainMinutes, 0, 1_440);
  const idle = number('--idle-minutes', options.idleMinutes, 1, 1_440);
  return {
    placement: { prefer, usersPerInstance },
    standby:
      options.standby === undefined ? (settings?.standby ?? { count: 0, as: 'stopped' }) : readStandby(options.standby),
    drainMilliseconds:
      drain === undefined ? (settings?.drainMilliseconds ?? usual.drainMinutes * minute) : drain * minute,
    idleMilliseconds: idle === undefined ? idleOf(settings) : idle * minute,
    ...measuredTimes,
    cpuPerPerson: number('--cpu-per-person', options.cpuPerPerson, 1, 100) ?? 100 / usersPerInstance,
  };
}

const idleOf = (settings: PoolHistory['settings'] | undefined): number =>
  settings === undefined ? usual.idleMinutes * minute : (settings.idleMilliseconds ?? Number.POSITIVE_INFINITY);

async function sessionsOf(source: SessionSource, history: PoolHistory | undefined): Promise<readonly TraceSession[]> {
  switch (source.from) {
    case 'generated':
      return generateTrace(source);
    case 'file':
      return readTrace(await readTextFile(source.file), source.file);
    case 'recorded':
      if (history === undefined || history.sessions.length === 0)
        throw new UsageError('This pool has recorded no sessions yet. Try --sessions generated meanwhile.');
      return history.sessions;
  }
}

function describePool({ placement, standby, drainMilliseconds, idleMilliseconds, cpuPerPerson }: SimulationOptions) {
  const waits = standby.count === 0 ? 'no standby' : `${standby.count} standby (${standby.as})`;
  return [
    `${placement.usersPerInstance} people an instance, ${placement.prefer} first, ${waits},`,
    `drained ${drainMilliseconds / minute} min, ${Number.isFinite(idleMilliseconds) ? `idle after ${idleMilliseconds / minute} min` : 'never idle'}, ${Number(cpuPerPerson.toFixed(1))} % CPU a person who works`,
  ].join('\n');
}

/** What the command prints as JSON: times as ISO 8601, hours, seconds. */
function documentOf(
  { simulation, replays, hindsight }: Awaited<ReturnType<typeof simulate>>,
  pool: SimulationOptions,
): object {
  const iso = <Moment extends { at: number }>(moments: readonly Moment[]) =>
    moments.map(({ at, ...rest }) => ({ at: new Date(at).toISOString(), ...rest }));
  const { from, to, ...rest } = simulation;
  return {
    ...{ from: new Date(from).toISOString(), to: new Date(to).toISOString(), pool, ...rest },
    timeline: {
      setting: iso(replays.setting.timeline),
      usual: iso(replays.usual.timeline),
      hindsight: iso(hindsight.timeline),
    },
  };
}

async function readTextFile(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: unknown) => {
    throw new UsageError(`The file '${file}' cannot be read: ${codeOf(error)}.`);
  });
}

async function writeTextFile(file: string, text: string): Promise<void> {
  await writeFile(file, text).catch((error: unknown) => {
    throw new UsageError(`The file '${file}' cannot be written: ${codeOf(error)}.`);
  });
}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code ?? 'unknown reason';
