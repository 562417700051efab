/** Installs the Debian packages that the tests need and that are missing. */
import { enginePackages, installPackages, missingPackages, readDistribution } from '../src/host/packages.ts';
import { createProgress } from '../src/host/progress.ts';

const packages = [
  ...enginePackages(await readDistribution()),
  'azure-cli',
  'chromium',
  'sshpass',
  'openssh-client',
  'openssh-sftp-server',
  'curl',
  'busybox-static',
  'iproute2',
  'procps',
  // Other clients of ssh, and what judges a server of it.
  ...['rsync', 'sshfs', 'putty-tools', 'dropbear-bin', 'python3-paramiko', 'python3-asyncssh', 'xauth', 'ssh-audit'],
  // Other clients of shares.
  ...['smbclient', 'rclone', 'libnfs-utils'],
];
if ((await missingPackages(packages)).length > 0) {
  await createProgress(process.stderr).step('Debian packages for the tests', (phase) =>
    installPackages(packages, phase, AbortSignal.timeout(30 * 60_000)),
  );
}
