/** Where an installation keeps what. Paths only: nothing is read or written here. */
import { join } from 'node:path';

export interface Home {
  folder: string;
  config: string;
  installation: string;
  store: string;
  secrets: string;
  /** The master key, where it is kept in a file: 32 bytes that open everything secret in the store. */
  masterKey: string;
  /** Copies of the store from before it was changed by a newer program. */
  backups: string;
  certificates: string;
  images: string;
  /** The operator's own recipes and catalogue. */
  recipes: string;
  catalogue: string;
  logs: string;
  az: string;
  sample: string;
  /** A folder for each instance, which it sees, with the socket by which it reaches control. */
  doors: string;
  /** There while a backup is being restored: who finds it lets nobody in. */
  restoring: string;
  /** What Node made of control's code: it starts sooner with it, and without it all the same. */
  compiled: string;
}

export function homeAt(folder: string): Home {
  const at = (...parts: string[]) => join(folder, ...parts);
  return {
    folder,
    config: at('config.json'),
    installation: at('installation.json'),
    store: at('store.sqlite'),
    secrets: at('secrets'),
    masterKey: at('secrets', 'key'),
    backups: at('backups'),
    certificates: at('certificates'),
    images: at('images'),
    recipes: at('recipes'),
    catalogue: at('catalogue.json'),
    logs: at('logs'),
    az: at('az'),
    sample: at('sample'),
    doors: at('doors'),
    restoring: at('restoring.json'),
    compiled: at('compiled'),
  };
}

/** Where all installations of a machine meet, with the log of an engine daemon that one of them started. Root's. */
export const machineFolder = '/run/poolhouse';

/** What lives only as long as the processes: sockets and pid files. Unix sockets' paths must be short. */
export interface RuntimeFolder {
  folder: string;
  controlPid: string;
  supervisorPid: string;
  /** One supervisor at a time. */
  supervisorLock: string;
  /** What the supervisor runs, and what came of it. Where there is no such file, there is to be no supervisor. */
  programs: string;
  lives: string;
  /** Of a release in which a gateway had no number. */
  oldGatewayPid: string;
  /** The master key, where it comes from a passphrase: in memory only, asked for again after a reboot. */
  masterKey: string;
  /** Control's own local interface, for the command line. */
  adminSocket: string;
  /** Where gateways ask control. */
  linkSocket: string;
  /** Leads to the home's folder of the same name: Unix sockets' paths must be short. */
  doors: string;
  /** The gateways' own folder. */
  gateway: string;
  gatewayState: string;
}

/** `/run/poolhouse-ID` for root, a folder of the home for others. */
export function runtimeFolderOf(home: Home, installation: string, isRoot: boolean): RuntimeFolder {
  return runtimeFilesIn(isRoot ? `/run/poolhouse-${installation}` : join(home.folder, 'run'));
}

export function runtimeFilesIn(folder: string): RuntimeFolder {
  return {
    folder,
    controlPid: join(folder, 'control.pid'),
    supervisorPid: join(folder, 'supervisor.pid'),
    supervisorLock: join(folder, 'supervisor.lock'),
    programs: join(folder, 'programs.json'),
    lives: join(folder, 'lives.json'),
    oldGatewayPid: join(folder, 'gateway.pid'),
    masterKey: join(folder, 'master-key'),
    adminSocket: join(folder, 'admin.sock'),
    linkSocket: join(folder, 'gateway.sock'),
    doors: join(folder, 'doors'),
    gateway: join(folder, 'gateway'),
    gatewayState: join(folder, 'gateway', 'routes.json'),
  };
}
