import { join } from 'node:path';

/** How the client of OpenSSH comes in as somebody: by the key in a test's folder, and with known hosts that are checked. */
export function sshArguments(folder: string, destination: string, command: string): string[] {
  return [
    ...['-F', 'none', '-i', join(folder, 'key'), '-o', 'BatchMode=yes', '-o', 'LogLevel=ERROR'],
    ...['-o', `UserKnownHostsFile=${join(folder, 'known')}`, '-o', 'StrictHostKeyChecking=accept-new'],
    ...['-o', 'IdentityAgent=none', destination, command],
  ];
}
