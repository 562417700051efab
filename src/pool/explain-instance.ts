/** Says in words why an instance is up, what would stop it, and what was done with it: facts go in, sentences come out. Pure. */
import type { EpochMillis } from '../core/time.ts';
import { isIdle } from './idle.ts';
import { drainCause, type InstanceState } from './instance-state.ts';
import type { Power } from './power.ts';

/** What somebody has on an instance. */
export interface PersonFacts {
  user: string;
  sessions: number;
  kernels: number;
  /** Other processes: shells, jobs. */
  processes: number;
  /** Their lease ends then; undefined: they have none. */
  keptUntil: EpochMillis | undefined;
  activeAt: EpochMillis;
}

/** A line of the activity log. */
export interface ActivityFacts {
  at: EpochMillis;
  message: string;
}

/** What there is to know of an instance that is there. */
export interface PresentFacts {
  power: Power | 'absent';
  inRotation: boolean;
  /** What is wrong with its mounts, in words; '' where nothing is. */
  mounts: string;
  createdAt: EpochMillis;
  state: Pick<
    InstanceState,
    'power' | 'draining' | 'removal' | 'failure' | 'protectFromScaleIn' | 'protectFromScaleSetActions'
  > & {
    /** It is prepared, and waits until it is wanted. */
    standby?: unknown;
  };
  /** The asked-for number of instances, and how many there are that do not leave. */
  capacity: number;
  staying: number;
  /** Where the capacity is not the operator's own number: who chose it, and what the operator's was. */
  automatic: { by: string; from: number; operators: number } | undefined;
  switchedOff: boolean;
  idleMilliseconds: number | undefined;
  people: readonly PersonFacts[];
  /** Open connections of those whom nobody knows. */
  connections: number;
}

export interface InstanceFacts {
  hostname: string;
  pool: string;
  /** undefined: it is gone. */
  present: PresentFacts | undefined;
  /** The newest first. */
  history: readonly ActivityFacts[];
}

export interface InstanceExplanation {
  /** How it stands. */
  stands: string;
  /** Why it is up, or is not. */
  because: string[];
  /** What would stop it, and what keeps that off. */
  stops: string[];
}

export function explainInstance(
  { hostname, pool, present, history }: InstanceFacts,
  now: EpochMillis,
): InstanceExplanation {
  if (present === undefined) {
    const last = history[0];
    return {
      stands: `${hostname} of ${pool} is gone.`,
      because: last === undefined ? ['Nobody remembers why.'] : [`${shortTime(last.at)}: ${last.message}`],
      stops: [],
    };
  }
  return {
    stands: `${hostname} of ${pool} ${standing(present)}, and was made ${shortTime(present.createdAt)}.`,
    because: [...whyItIsThere(present), ...present.people.map((person) => describePerson(person, present, now))],
    stops: whatStopsIt(present, now),
  };
}

function standing({ power, inRotation, state }: PresentFacts): string {
  if (state.removal !== undefined) return 'is being removed';
  if (state.draining !== undefined) return 'drains';
  if (state.standby !== undefined) return 'is in standby';
  if (power === 'absent') return 'is not there yet';
  if (power !== 'running') return `is ${power}`;
  return inRotation ? 'is in rotation' : 'runs, and is not in rotation';
}

function whyItIsThere({ capacity, staying, automatic, switchedOff, state, mounts }: PresentFacts): string[] {
  const count = `${instances(capacity)} ${capacity === 1 ? 'is' : 'are'} asked for, and ${staying} ${staying === 1 ? 'is' : 'are'} there to stay`;
  const whose =
    automatic === undefined
      ? `${count}. It is the operator's number.`
      : `${count}: ${automatic.by === 'wake' ? 'waking the pool' : automatic.by} has changed it from ${automatic.from}. The operator's own number is ${automatic.operators}.`;
  const lines = [whose];
  if (switchedOff) lines.push('The operator has switched the whole pool off.');
  else if (state.power === 'stopped') lines.push('It was stopped by itself, and stays so until somebody starts it.');
  if (state.standby !== undefined) lines.push('It is prepared, and joins the others when it is wanted.');
  if (state.failure !== undefined)
    lines.push(
      `The last thing that was tried with it (${state.failure.step}) has failed since ${shortTime(state.failure.since)}, ${state.failure.attempts} times: ${state.failure.message}`,
    );
  if (mounts !== '') lines.push(`Nobody new is sent to it, and who is on it stays: ${mounts}.`);
  return lines;
}

function describePerson(
  { user, sessions, kernels, processes, keptUntil, activeAt }: PersonFacts,
  { idleMilliseconds }: PresentFacts,
  now: EpochMillis,
): string {
  const things = [
    ...(sessions > 0 ? [counted(sessions, 'session')] : []),
    ...(kernels > 0 ? [counted(kernels, 'kernel')] : []),
    ...(processes > 0 ? [counted(processes, kernels > 0 ? 'other process' : 'process')] : []),
    ...(keptUntil === undefined ? [] : [`a lease until ${shortTime(keptUntil)}`]),
  ];
  const has = things.length === 0 ? 'a place' : listed(things);
  if (activeAt === 0) return `${user} has ${has} here.`;
  const since = inWords(now - activeAt);
  if (isIdle(activeAt, now, idleMilliseconds))
    return `${user} has ${has} here, and is idle: nothing moved for ${since}.`;
  return now - activeAt < minute
    ? `${user} has ${has} here, and is active.`
    : `${user} has ${has} here, and was active ${since} ago.`;
}

function whatStopsIt(present: PresentFacts, now: EpochMillis): string[] {
  const { state, people, connections, idleMilliseconds } = present;
  if (state.removal !== undefined) return [`It goes at once, whoever is there: ${state.removal.reason}.`];
  const active = people.filter(
    ({ activeAt, keptUntil }) => keptUntil !== undefined || !isIdle(activeAt, now, idleMilliseconds),
  );
  if (state.draining !== undefined) return explainDraining(present);
  const lines = ['Deleting it by its id, or its scale set, stops it at once, whoever is there.'];
  if (state.protectFromScaleIn)
    lines.push('It is protected from scale-in by its operator: no smaller capacity takes it.');
  else if (state.protectFromScaleSetActions) lines.push('It is protected from what is done to the whole scale set.');
  lines.push(
    active.length > 0 || connections > 0
      ? `An automatic scale-in takes others first, for here ${active.length + connections === 1 ? 'works' : 'work'} ${listed(whoIsThere(active, connections))}.`
      : people.length > 0
        ? 'An automatic scale-in may take it: everybody here is idle. They are told before, and may keep it.'
        : 'Nobody is there: any smaller capacity may take it.',
  );
  if (active.length > 0 && idleMilliseconds !== undefined)
    lines.push(
      `Somebody is idle after ${inWords(idleMilliseconds)} in which nothing of theirs moved, and without a lease.`,
    );
  return lines;
}

function explainDraining({ state, people, connections }: PresentFacts): string[] {
  const cause = drainCause(state);
  if (cause === 'operator')
    return [
      'Its operator drains it: nobody new is sent to it, and it stays.',
      `'poolhouse drain --off' ends that; deleting it by its id stops it at once.`,
    ];
  const isWaiting = state.failure?.step === 'rescue' || state.failure?.step === 'remove';
  const isNobodyThere = people.length === 0 && connections === 0;
  const until = state.draining?.until;
  const left = `${listed(whoIsThere(people, connections))} ${people.length + connections === 1 ? 'has' : 'have'} left it`;
  const goes = cause === 'upgrade' ? 'is made anew' : 'goes';
  return [
    isWaiting
      ? `It drains, and ${goes} when what is on it could be rescued.`
      : isNobodyThere
        ? `It drains, and nobody is there: it ${goes} now.`
        : `It drains, and ${goes} when ${left}${until === undefined ? '' : `, or at ${shortTime(until)}`}.`,
    drainReasons[cause ?? 'scale-in'],
  ];
}

const drainReasons = {
  'scale-in': 'It stays when more instances are wanted before that.',
  upgrade: 'It gets the latest model of its scale set then.',
  repair: 'Its probes or its mounts fail; it stays when they are well again.',
  delete: 'It was deleted by its id, and its people were given notice.',
  eviction: 'Another scale set needs its memory.',
} as const;

function whoIsThere(people: readonly PersonFacts[], connections: number): string[] {
  return [
    ...people.map(({ user }) => user),
    ...(connections > 0 ? [`${connections} connection${connections === 1 ? '' : 's'} of nobody known`] : []),
  ];
}

const minute = 60_000;
const instances = (count: number) => counted(count, 'instance');
const counted = (count: number, word: string) =>
  `${count} ${count === 1 ? word : word.endsWith('s') ? `${word}es` : `${word}s`}`;

function listed(words: readonly string[]): string {
  if (words.length < 2) return words.join('');
  return `${words.slice(0, -1).join(', ')} and ${words.at(-1) ?? ''}`;
}

function inWords(milliseconds: number): string {
  const minutes = Math.floor(milliseconds / minute);
  if (minutes < 120) return counted(minutes, 'minute');
  return minutes < 48 * 60 ? `${Math.floor(minutes / 60)} hours` : `${Math.floor(minutes / (24 * 60))} days`;
}

/** In UTC, as the logs. */
const shortTime = (at: EpochMillis) => `${new Date(at).toISOString().slice(0, 16).replace('T', ' ')}Z`;
