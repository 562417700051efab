/**
 * The files by which systemd runs an installation, as text. Pure: the same parts give the same text, and `up` compares it
 * with what lies there.
 *
 * Both units restart at once and for ever: systemd's own growing delay (`RestartSteps`, since 254) counts restarts and
 * never forgets them, so the sixth crash in a year would wait as the sixth in a minute does. What fails at its start
 * waits by itself instead (`core/end-failed.ts`).
 */
import { shortestLife } from '../../core/end-failed.ts';
import { machineFolder, type Home, type RuntimeFolder } from '../../core/home.ts';
import type { Installation } from '../../core/installation.ts';
import { serviceUser } from '../service-user.ts';
import { digestOf } from '../upgrade.ts';
import type { ProgramName, Programs } from './supervision.ts';

export interface UnitParts {
  home: Home;
  run: RuntimeFolder;
  /** Where the program's files are, and Node. */
  programFolders: readonly string[];
  programs: Pick<Programs, ProgramName>;
}

/** Debian's and Ubuntu's names for the engine's daemon. One that is not there is passed over. */
const engineUnits = ['incus.service', 'lxd.service', 'snap.lxd.daemon.service'];
/** How long a start that fails takes at least, in seconds. */
const failedStart = 5;

export function unitName(installation: string, program: ProgramName, serial?: number): string {
  return `poolhouse-${installation}-${program}${serial === undefined ? '' : `-${String(serial)}`}.service`;
}

/** The serial of a gateway's unit; undefined where a file is none. */
export function serialOfUnit(installation: string, file: string): number | undefined {
  const found = new RegExp(`^poolhouse-${installation}-gateway-(\\d+)\\.service$`).exec(file)?.[1];
  return found === undefined ? undefined : Number(found);
}

/** What control may do: it builds images (mounts, devices, other owners), drives nftables, and starts the fetcher. */
const controlSandbox = [
  'NoNewPrivileges=yes',
  'CapabilityBoundingSet=CAP_AUDIT_WRITE CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_MKNOD CAP_NET_ADMIN CAP_NET_BIND_SERVICE CAP_SETFCAP CAP_SETGID CAP_SETPCAP CAP_SETUID CAP_SYS_ADMIN CAP_SYS_CHROOT',
  'ProtectSystem=strict',
  'ProtectHome=read-only',
  // The daemons' storage pools: folders and snapshots of shares are made there.
  `ReadWritePaths=-/tmp -/var/tmp -/var/lib/lxd -/var/lib/incus -${machineFolder}`,
  'PrivateIPC=yes',
  'ProtectClock=yes',
  'ProtectControlGroups=yes',
  'ProtectHostname=yes',
  'ProtectKernelLogs=yes',
  'ProtectKernelModules=yes',
  'ProtectKernelTunables=yes',
  'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK',
  'RestrictRealtime=yes',
  'LockPersonality=yes',
  'SystemCallArchitectures=native',
  'SystemCallFilter=~@clock @cpu-emulation @debug @module @obsolete @raw-io @reboot @swap',
  'SystemCallErrorNumber=EPERM',
];

/**
 * What the gateway may do: carry bytes, and write in its own folder. It begins as root, to read its program wherever that
 * lies, and gives that up before it accepts anything: for this the capabilities, which it has none of afterwards. (With
 * CAP_SETPCAP it limits itself further, as it does where there is no systemd.)
 */
const gatewaySandbox = [
  'NoNewPrivileges=yes',
  'CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_SETGID CAP_SETPCAP CAP_SETUID',
  'ProtectSystem=strict',
  'ProtectHome=tmpfs',
  'PrivateTmp=yes',
  'PrivateDevices=yes',
  'PrivateIPC=yes',
  'ProtectClock=yes',
  'ProtectControlGroups=yes',
  'ProtectHostname=yes',
  'ProtectKernelLogs=yes',
  'ProtectKernelModules=yes',
  'ProtectKernelTunables=yes',
  'ProtectProc=invisible',
  'RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK',
  'RestrictNamespaces=yes',
  'RestrictRealtime=yes',
  'RestrictSUIDSGID=yes',
  'LockPersonality=yes',
  'RemoveIPC=yes',
  'SystemCallArchitectures=native',
  'SystemCallFilter=@system-service',
  'SystemCallErrorNumber=EPERM',
];

const markWords = '# It begins anew when this is another: ';

/** The text of a unit. A gateway has its serial; which it is makes it no other one. */
export function renderUnit(name: ProgramName, parts: UnitParts, serial?: number): string {
  const { argv, told, version } = parts.programs[name];
  return [
    `# Written by 'poolhouse up', and again whenever it differs: changes of your own belong into a drop-in.`,
    `${markWords}${digestOf([version, renderSections(name, parts, argv)])}`,
    renderSections(name, parts, [...argv, ...told, ...(serial === undefined ? [] : ['--serial', String(serial)])]),
  ].join('\n');
}

const restarts = 'Restart=always';

/** The same unit, which is not begun again when it ends: its gateway leaves. */
export function released(unit: string): string {
  return unit.replace(`\n${restarts}\n`, '\nRestart=no\n');
}

export function isReleased(unit: string): boolean {
  return !unit.includes(`\n${restarts}\n`);
}

/** What two texts of a unit have in common where its process need not begin anew. */
export function markOfUnit(text: string): string | undefined {
  return text.split('\n').find((line) => line.startsWith(markWords));
}

function renderSections(name: ProgramName, parts: UnitParts, argv: readonly string[]): string {
  const { home, run, programFolders } = parts;
  const isControl = name === 'control';
  const folders = programFolders.map(quoteValue);
  const unit = [
    `Description=Poolhouse ${name} (${escapeSpecifiers(home.folder)})`,
    // A firewall that is loaded at the start of the machine empties the kernel's tables: ours come after it.
    `After=network.target nftables.service ${engineUnits.join(' ')}`,
    `RequiresMountsFor=${[quoteValue(home.folder), ...folders].join(' ')}`,
    'StartLimitIntervalSec=0',
  ];
  const env = { ...parts.programs[name].env, [shortestLife]: String(failedStart) };
  const service = [
    'Type=exec',
    `ExecStart=${argv.map(quoteArgument).join(' ')}`,
    ...Object.entries(env).map(([key, value]) => `Environment=${quoteValue(`${key}=${value}`)}`),
    `StandardOutput=append:${escapeSpecifiers(logFileOf(home, name))}`,
    'StandardError=inherit',
    'UMask=0077',
    'WorkingDirectory=/',
    restarts,
    'RestartSec=200ms',
    // A credential that systemd cannot load: only a person can help.
    'RestartPreventExitStatus=243',
    // Control ends its children itself, in order. What is left of a control that was killed goes with it.
    'KillMode=mixed',
    `TimeoutStopSec=${isControl ? 30 : 15}`,
    // A build that takes too much memory is its own failure, not control's.
    'OOMPolicy=continue',
    ...(isControl ? controlSandbox : gatewaySandbox),
    ...(isControl
      ? [`ReadWritePaths=${quoteValue(home.folder)} ${quoteValue(run.folder)}`]
      : [`BindReadOnlyPaths=${folders.join(' ')}`, `ReadWritePaths=${quoteValue(run.gateway)}`]),
  ];
  return ['[Unit]', ...unit, '', '[Service]', ...service, '', '[Install]', 'WantedBy=multi-user.target', ''].join('\n');
}

export function logFileOf(home: Home, program: ProgramName): string {
  return `${home.logs}/${program}.log`;
}

/** One word of a command line in a unit: neither variables nor specifiers are taken for what they are not. */
function quoteArgument(text: string): string {
  return quoteValue(text).replaceAll('$', '$$$$');
}

/** One word of a list. */
function quoteValue(text: string): string {
  return `"${escapeSpecifiers(text).replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`;
}

function escapeSpecifiers(text: string): string {
  return text.replaceAll('%', '%%');
}

/**
 * Whom the gateway runs as. Simulated instances lead nowhere: for them no account is made. Undefined where we are not
 * root: it runs as who we are.
 */
export function accountOf(engine: Installation['engine'], isRoot: boolean): string | undefined {
  return isRoot ? { incus: serviceUser, sim: 'nobody' }[engine] : undefined;
}

/** A folder that is there before the processes are. */
export interface RuntimePath {
  path: string;
  mode: number;
  /** Undefined: root's, or whoever we are. */
  owner?: string;
}

/** Control's sockets are for their owner only; the gateway's user gets through to its own folder and to the link. */
export function runtimePaths(run: RuntimeFolder, account: string | undefined): RuntimePath[] {
  return [
    { path: run.folder, mode: 0o711 },
    { path: run.gateway, mode: 0o700, ...(account === undefined ? {} : { owner: account }) },
  ];
}

/** What makes these folders at the start of the machine (tmpfiles.d). They are in `/run`: no character in them is special. */
export function renderRuntimePaths(paths: readonly RuntimePath[]): string {
  const lines = paths.map(
    ({ path, mode, owner = 'root' }) => `d ${path} ${mode.toString(8).padStart(4, '0')} ${owner} root -`,
  );
  return `${lines.join('\n')}\n`;
}
