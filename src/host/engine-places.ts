/** Which daemons may be installed on a host, and where what belongs to them lies. */

/** A daemon that may be installed here. */
export interface DaemonCandidate {
  kind: 'incus' | 'lxd';
  socketPath: string;
  /** systemd's names for it. */
  units: readonly string[];
  /** How to start it without systemd; absent where that cannot be done. */
  program?: string;
  argv?: readonly string[];
  environment?: Readonly<Record<string, string>>;
}

/** Where things are on a host. Tests bring their own. */
export interface DaemonPlaces {
  candidates: readonly DaemonCandidate[];
  /** Exists exactly where systemd is the init process. */
  systemdFolder: string;
  noteFile: string;
  lxcfsFolder: string;
}

export const daemonPlaces: DaemonPlaces = {
  candidates: [
    {
      kind: 'incus',
      socketPath: '/var/lib/incus/unix.socket',
      units: ['incus.service', 'incus.socket'],
      program: 'incusd',
      argv: ['--group', 'incus-admin'],
    },
    {
      kind: 'lxd',
      socketPath: '/var/lib/lxd/unix.socket',
      units: ['lxd.service', 'lxd.socket'],
      program: 'lxd',
      argv: ['--group', 'lxd'],
    },
    {
      kind: 'lxd',
      socketPath: '/var/snap/lxd/common/lxd/unix.socket',
      units: ['snap.lxd.daemon.service', 'snap.lxd.daemon.unix.socket'],
    },
  ],
  systemdFolder: '/run/systemd/system',
  noteFile: '/run/poolhouse-engine.pid',
  lxcfsFolder: '/var/lib/lxcfs',
};
