/**
 * Who keeps our processes running: systemd where it is there and we are root, our own supervisor elsewhere. `up`, `down`
 * and `status` see this contract only.
 *
 * A program begins anew when anything that it was started with is another now, and only then: so an upgrade or a changed
 * configuration is `start` with other programs, and running it again changes nothing. Gateways are replaced
 * (`settle-gateways.ts`): what they carry goes on.
 */
import { access } from 'node:fs/promises';
import { runtimeFolderOf, type Home } from '../../core/home.ts';
import type { Installation } from '../../core/installation.ts';
import type { Progress } from '../progress.ts';
import { createOwnSupervision } from './own.ts';
import { createSystemdSupervision } from './systemd.ts';

export type ProgramName = 'control' | 'gateway';

export interface Program {
  /** The program itself first. */
  argv: readonly string[];
  /** Further arguments, of which it hears otherwise when they change: other ones do not begin it anew. */
  told: readonly string[];
  env: Readonly<Record<string, string>>;
  /** One word that is another when the program has to begin anew, though its arguments are the same. */
  version: string;
}

export interface Programs extends Readonly<Record<ProgramName, Program>> {
  /** Gateways that serve at a time. */
  readonly gateways: number;
}

export interface ProgramState {
  /** Undefined where it does not run. */
  pid: number | undefined;
  /** It ended again and again since it was last started, or is not started any more: to wait for it is vain. */
  failing: boolean;
}

export interface ProcessStates {
  control: ProgramState;
  /** Those that are to serve, youngest first; those that leave are not among them. */
  gateways: readonly ProgramState[];
}

export interface Supervision {
  kind: 'systemd' | 'own';
  /**
   * Has these run from now on, also after a crash and a reboot. Control that runs otherwise is ended first; gateways that do
   * are replaced. What was begun by another kind of supervision is ended.
   */
  start(programs: Programs, progress: Progress): Promise<void>;
  /** Replaces all gateways, though they are as they should be. */
  replaceGateways(programs: Programs, progress: Progress): Promise<void>;
  /** Ends all, those that leave too: they stay ended until the next `start`, or the next boot where it says so. Gives who ran. */
  stop(until: 'start' | 'boot'): Promise<ProgramName[]>;
  /** What `stop` does; and nothing of it is left on the machine outside of the installation's own folders. */
  remove(): Promise<void>;
  state(): Promise<ProcessStates>;
}

export interface SupervisionParts {
  home: Home;
  installation: Installation;
}

/** How the processes of an installation are supervised on this machine, by who we are. */
export async function createSupervision(parts: SupervisionParts): Promise<Supervision> {
  const isRoot = process.getuid?.() === 0;
  const run = runtimeFolderOf(parts.home, parts.installation.id, isRoot);
  const own = createOwnSupervision({ ...parts, run, isRoot });
  return isRoot && (await hasSystemd()) ? createSystemdSupervision({ ...parts, run, own }) : own;
}

/** systemd is the init process here, as `sd_booted` tells it. */
async function hasSystemd(): Promise<boolean> {
  return access('/run/systemd/system').then(
    () => true,
    () => false,
  );
}
