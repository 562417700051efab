/** An sshd of OpenSSH on loopback, with the gateway's own process before it. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodePublicKey } from '../../src/gateway/ssh/ssh-keys.ts';
import { must, run, until } from '../e2e/installation.ts';
import { freePort, routeTo, startGateway, type Ground } from './peers.ts';

export interface SshSite {
  /** Somebody with a shell, whom every machine has; and their private key. */
  user: string;
  keyFile: string;
  ports: { direct: number; gateway: number };
  gatewayPid: number;
  /** ssh's arguments up to the command. */
  to: (port: number, ...options: string[]) => string[];
}

const user = 'root';

/**
 * An sshd that takes the site's key and the gateway's certificates. Its shells begin in an empty home: what somebody's own
 * would run at its start is not to be measured.
 */
export async function startSshSite(ground: Ground): Promise<SshSite> {
  const at = (name: string) => join(ground.folder, name);
  const keygen = (name: string) => must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', at(name)]);
  await Promise.all(['key', 'instance'].map(keygen));
  const lineOf = async (name: string) => (await readFile(at(`${name}.pub`), 'utf8')).split(' ').slice(0, 2).join(' ');
  const authority = generateKeyPairSync('ed25519');
  const { type, blob } = encodePublicKey(authority.publicKey);
  const pem = (key: typeof authority.privateKey) => key.export({ format: 'pem', type: 'pkcs8' }) as string; // PEM is text
  const ports = { direct: await freePort(), gateway: await freePort() };
  await startSshd(ground, ports.direct, `${type} ${blob.toString('base64')}`);
  const gateway = await startGateway(
    ground,
    [routeTo(ports.gateway, ports.direct, { protocol: 'ssh', pool: 'bench' })],
    {
      revision: '1',
      users: [{ name: user, pools: 'all', keys: [await lineOf('key')] }],
      hostKeys: [pem(generateKeyPairSync('ed25519').privateKey)],
      userAuthority: pem(authority.privateKey),
      userAuthorities: [],
      instanceKeys: { one: [await lineOf('instance')] },
    },
  );
  const to = (port: number, ...options: string[]) => [
    ...['-F', 'none', '-i', at('key'), '-o', 'BatchMode=yes', '-o', 'LogLevel=ERROR'],
    ...['-o', 'StrictHostKeyChecking=no', '-o', 'UserKnownHostsFile=/dev/null'],
    ...['-p', String(port), ...options, `${user}@127.0.0.1`],
  ];
  for (const [name, port] of Object.entries(ports)) await untilAnswers(name, to(port));
  return { user, keyFile: at('key'), ports, gatewayPid: gateway.pid ?? 0, to };
}

/** @param argv ssh's, up to the command */
export async function untilAnswers(name: string, argv: readonly string[]): Promise<void> {
  await until(`ssh answers (${name})`, async () =>
    (await run('ssh', [...argv, 'true'])).exitCode === 0 ? true : undefined,
  );
}

async function startSshd({ folder, start }: Ground, port: number, authority: string): Promise<void> {
  await mkdir('/run/sshd', { recursive: true, mode: 0o755 });
  const at = (name: string) => join(folder, name);
  await writeFile(at('authority'), `${authority}\n`);
  await writeFile(
    at('sshd_config'),
    `ListenAddress 127.0.0.1:${port}
HostKey ${at('instance')}
AuthorizedKeysFile ${at('key.pub')}
TrustedUserCAKeys ${at('authority')}
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
PidFile none
MaxStartups 2000
SetEnv HOME=${folder}
LogLevel QUIET
`,
  );
  start('/usr/sbin/sshd', '-D', '-f', at('sshd_config'));
}
