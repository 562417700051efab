/**
 * Measures whether what people have running works: CPU and input and output of their processes, from the host's list. It is
 * cheap enough to be done all the time, and it sees detached jobs as well as kernels. What a process has used counts from one
 * look to the next, with its children that have ended meanwhile.
 *
 * Work of a GPU shows in no file of a process. Where instances have one, the place to ask for it (`nvidia-smi
 * --query-compute-apps=pid,used_memory` knows processes by these pids) is `useOf`.
 */
import type { Clock, EpochMillis } from '../core/time.ts';
import { isWorking, type Use } from '../pool/idle.ts';
import type { Presence } from './bindings.ts';
import type { FoundPresence, ProcessList } from './find-presences.ts';

/** Between two measurements, at least. */
const measureEvery = 10_000;
/** The kernel counts for programs in hundredths of a second, on every machine. */
const tick = 10;

interface Reading extends Use {
  /** When the process began, in ticks since the host did: with its number it is itself and no later one. */
  began: string;
}

export interface WorkMeterParts {
  list: Pick<ProcessList, 'read'>;
  clock: Pick<Clock, 'now'>;
}

/**
 * Each call tells when those who were found have worked last. Of whom nothing is known yet, as after a new start of control,
 * counts as active now.
 */
export function createWorkMeter({ list, clock }: WorkMeterParts): (found: readonly FoundPresence[]) => Presence[] {
  let measuredAt: EpochMillis | undefined;
  let readings = new Map<string, Reading>();
  /** By instance and user. */
  let activeAt = new Map<string, EpochMillis>();

  function useOf(pids: readonly string[], into: Map<string, Reading>): Use {
    const use = { cpuMilliseconds: 0, bytes: 0 };
    for (const pid of pids) {
      const reading = read(list, pid);
      if (reading === undefined) continue;
      into.set(pid, reading);
      const last = readings.get(pid);
      const before = last?.began === reading.began ? last : { cpuMilliseconds: 0, bytes: 0 };
      use.cpuMilliseconds += reading.cpuMilliseconds - before.cpuMilliseconds;
      use.bytes += reading.bytes - before.bytes;
    }
    return use;
  }

  return function measure(found) {
    const now = clock.now();
    const isDue = measuredAt === undefined || now - measuredAt >= measureEvery;
    const next = new Map<string, Reading>();
    const known = new Map<string, EpochMillis>();
    const presences = found.map(({ pool, user, instance, pids, kernels }): Presence => {
      const key = `${instance}\n${user}`;
      const before = activeAt.get(key);
      const works = isDue && isWorking(useOf(pids, next), now - (measuredAt ?? now));
      const at = before === undefined || works ? now : before;
      known.set(key, at);
      return { pool, user, instance, activeAt: at, runs: { kernels, others: pids.length - kernels } };
    });
    activeAt = known;
    if (isDue) {
      measuredAt = now;
      readings = next;
    }
    return presences;
  };
}

/** What a process has used since it began; undefined where it has ended. */
function read(list: WorkMeterParts['list'], pid: string): Reading | undefined {
  const stat = list.read(pid, 'stat');
  if (stat === undefined) return undefined;
  // proc_pid_stat(5): the second field is the program's name, which may hold anything; utime is the fourteenth.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  const io = list.read(pid, 'io') ?? '';
  const bytes = ['rchar', 'wchar'].reduce(
    (sum, name) => sum + Number(new RegExp(`^${name}: (\\d+)$`, 'm').exec(io)?.[1] ?? 0),
    0,
  );
  return { cpuMilliseconds: ticks * tick, bytes, began: fields[19] ?? '' };
}
