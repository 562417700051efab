/**
 * Finds who has what running on which instance, by the host's list of processes: what somebody left behind, a kernel, a
 * job in tmux. Instances are containers, so their processes are in that list, with uids of the container's id map and the
 * instance's name in their control group. It costs about 10 ms for ten instances; the engine would take ten times as long.
 *
 * An instance is hostile: its root can run programs as anybody there. What is found binds a person only where they have no
 * session elsewhere, and only to an instance of a pool.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { groupGids, peopleUids } from '../identity/people.ts';

/** What there is to read of processes; the host's, or a test's. */
export interface ProcessList {
  /** Every process, with its user on the host. */
  processes(): Iterable<{ pid: string; uid: number }>;
  /** A file of a process; undefined where the process has ended meanwhile. */
  read(pid: string, file: 'uid_map' | 'cgroup' | 'comm' | 'cmdline' | 'stat' | 'io'): string | undefined;
}

export interface PresenceParts {
  list: ProcessList;
  /** The engine's project that our instances are in. */
  project: string;
  /** The pool of each instance, by the instance's name in the engine. */
  pools: ReadonlyMap<string, string>;
  /** Names of people, and of admin users of templates, by uid inside. */
  users: ReadonlyMap<number, string>;
}

/** Container ids of the host begin above what the host itself uses. */
const firstMapped = 65_536;
/** An id map that holds our people; rootless containers of people inside have smaller pieces, or begin elsewhere. */
const smallestMap = groupGids.first;
/** uids of people and of admin users of templates. */
const uids = { first: peopleUids.first, last: groupGids.first - 1 };

/** A user's work on an instance: a kernel, a job, a shell that was left behind. */
export interface FoundPresence {
  pool: string;
  user: string;
  instance: string;
  /** The processes of it, on the host. */
  pids: string[];
  /** How many of them are kernels of notebooks. */
  kernels: number;
}

/** Each person once for each instance. */
export function findPresences({ list, project, pools, users }: PresenceParts): FoundPresence[] {
  const byUid = new Map<number, string[]>();
  for (const { pid, uid } of list.processes()) {
    if (uid < firstMapped) continue;
    const pids = byUid.get(uid);
    if (pids === undefined) byUid.set(uid, [pid]);
    else pids.push(pid);
  }
  const bases = basesOf(list, byUid);
  const found = new Map<string, FoundPresence>();
  for (const [hostUid, pids] of byUid)
    for (const base of bases) {
      const uid = hostUid - base;
      if (uid !== 0 && userOf(uid, users) === undefined) continue;
      for (const pid of pids) {
        const cgroup = list.read(pid, 'cgroup') ?? '';
        // What somebody runs as root by sudo is theirs: it stays in the session that they came by.
        const user = userOf(uid === 0 ? Number(sessionOwner.exec(cgroup)?.[1] ?? 0) : uid, users);
        if (user === undefined) continue;
        const instance = instanceOf(cgroup, project, pools);
        const pool = instance === undefined ? undefined : pools.get(instance);
        if (instance === undefined || pool === undefined) continue;
        const cmdline = list.read(pid, 'cmdline') ?? '';
        if (!isWork(list.read(pid, 'comm') ?? '', cmdline)) continue;
        const kernels = kernel.test(cmdline) ? 1 : 0;
        const key = `${instance}\n${user}`;
        const known = found.get(key);
        if (known === undefined) found.set(key, { pool, user, instance, pids: [pid], kernels });
        else {
          known.pids.push(pid);
          known.kernels += kernels;
        }
      }
    }
  return [...found.values()];
}

/** As systemd-logind names the groups of sessions. */
const sessionOwner = /\/user-(\d+)\.slice\/session-/;

const userOf = (uid: number, users: PresenceParts['users']) =>
  uid < uids.first || uid > uids.last ? undefined : users.get(uid);

/** Where the id maps of instances begin on the host; one, unless some are isolated. */
function basesOf(list: ProcessList, byUid: ReadonlyMap<number, readonly string[]>): Set<number> {
  const bases = new Set<number>();
  for (const pids of byUid.values()) {
    // The first may have ended meanwhile.
    const text = pids
      .slice(0, 3)
      .reduce<string | undefined>((read, pid) => read ?? list.read(pid, 'uid_map'), undefined);
    const base = text === undefined ? undefined : parseIdMap(text);
    if (base !== undefined) bases.add(base);
  }
  return bases;
}

/** The host's id of root inside, from `/proc/PID/uid_map`; undefined where that is no map of an instance. */
export function parseIdMap(text: string): number | undefined {
  for (const line of text.split('\n')) {
    const [inside, outside, count] = line.trim().split(/\s+/).map(Number);
    if (inside === 0 && outside !== undefined && outside >= firstMapped && (count ?? 0) > smallestMap) return outside;
  }
  return undefined;
}

/**
 * The instance that a process belongs to, from `/proc/PID/cgroup` (v1 or v2): `…/lxc.payload.PROJECT_INSTANCE/…`, or without
 * the project in the engine's default one. A group that an earlier start has left makes the engine append `-1`, `-2`…
 */
export function instanceOf(
  cgroup: string,
  project: string,
  instances: { has(name: string): boolean },
): string | undefined {
  const payload = /\/lxc\.payload[./]([^/\n]+)/.exec(cgroup)?.[1];
  if (payload === undefined) return undefined;
  const named = payload.startsWith(`${project}_`) ? payload.slice(project.length + 1) : payload;
  return [named, named.replace(/-\d+$/, '')].find((name) => instances.has(name));
}

/** Programs that are there because somebody is, or was: they are no work of theirs. */
const companions = new Set([
  ...['systemd', '(sd-pam)', 'dbus-daemon', 'dbus-broker', 'dbus-broker-lau'],
  ...['sshd', 'sshd-session', 'sftp-server', 'ssh-agent', 'gpg-agent'],
]);
/** A notebook server without kernels and terminals; those are processes of their own. */
const notebookServer = /(^|\0|\/)jupyterhub-singleuser(\0|$)|(^|\0)jupyterhub\.singleuser(\0|$)/;

/** Kernels are started with the file of their connection, whatever their language is. */
const kernel = /\0[^\0]*kernel-[0-9a-f-]{36}\.json(\0|$)/;

/** Whether a process is somebody's work, from `comm` and `cmdline`. One that has ended and waits for its parent is none. */
export function isWork(comm: string, cmdline: string): boolean {
  return cmdline !== '' && !companions.has(comm.trimEnd()) && !notebookServer.test(cmdline);
}

/** The processes of this host. Reading does not wait: the kernel answers from memory. */
export function hostProcesses(folder = '/proc'): ProcessList {
  return {
    *processes() {
      for (const pid of readdirSync(folder)) {
        if (!/^\d+$/.test(pid)) continue;
        const uid = ifThere(() => statSync(`${folder}/${pid}`).uid);
        if (uid !== undefined) yield { pid, uid };
      }
    },
    read: (pid, file) => ifThere(() => readFileSync(`${folder}/${pid}/${file}`, 'utf8')),
  };
}

function ifThere<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ESRCH' || code === 'EACCES') return undefined; // it has ended, or is not ours to read
    throw error;
  }
}
