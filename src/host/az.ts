/**
 * An az configuration of the installation's own, already signed in. Debian's az 2.45 needs two of them: its default
 * profile cannot do compute and network commands, and the hybrid one cannot do monitoring.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PoolhouseError } from '../core/errors.ts';
import { runCommand } from './run-command.ts';

export type AzProfile = 'latest' | 'hybrid';

export interface AzRequest {
  folder: string;
  profile: AzProfile;
  url: string;
  caFile: string;
  tenantId: string;
  clientId: string;
  /** File that holds the secret: az reads it itself, so that it stands in no argument list. */
  secretFile: string;
  signal: AbortSignal;
}

const cloud = 'Poolhouse';
const azLimit = 120_000;

/** The environment for az; signs in when that has not been done, or for another endpoint, authority or secret. */
export async function ensureAzConfiguration(request: AzRequest): Promise<Record<string, string>> {
  const folder = join(request.folder, request.profile);
  const variables = {
    AZURE_CONFIG_DIR: folder,
    REQUESTS_CA_BUNDLE: request.caFile,
    AZURE_CORE_COLLECT_TELEMETRY: 'false',
    AZURE_CORE_NO_COLOR: 'true',
  };
  const secret = (await readFile(request.secretFile, 'utf8')).trim();
  const authority = await readFile(request.caFile, 'utf8');
  const stamp = createHash('sha256')
    .update(JSON.stringify([request.url, authority, request.tenantId, request.clientId, secret, request.profile]))
    .digest('hex');
  const stampFile = join(folder, '.poolhouse');
  if ((await readFile(stampFile, 'utf8').catch(() => '')) === stamp) return variables;

  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const secretCopy = join(folder, 'secret');
  await writeFile(secretCopy, secret, { mode: 0o600 }); // without the line end, which az would take as part of it
  try {
    const az = async (...argv: string[]) => {
      const result = await runCommand('az', argv, {
        env: { ...process.env, ...variables },
        timeoutMs: azLimit,
        signal: request.signal,
      }).catch((error: unknown) => {
        throw new PoolhouseError(
          'HostNotReady',
          `The 'az' command line is missing. Install it: apt-get install azure-cli`,
          { cause: error },
        );
      });
      if (result.exitCode !== 0) {
        throw new PoolhouseError(
          'HostNotReady',
          `'az ${argv.slice(0, 2).join(' ')}' failed: ${result.stderr.trim().split('\n').slice(-3).join(' ')}`,
        );
      }
    };
    const profile = request.profile === 'hybrid' ? ['--profile', '2020-09-01-hybrid'] : [];
    await az(
      'cloud',
      'register',
      '-n',
      cloud,
      '--endpoint-resource-manager',
      request.url,
      '--suffix-storage-endpoint',
      'core.windows.net',
      ...profile,
    );
    await az('cloud', 'set', '-n', cloud, ...profile);
    await az(
      'login',
      '--service-principal',
      '-u',
      request.clientId,
      '-p',
      `@${secretCopy}`,
      '--tenant',
      'adfs',
      '-o',
      'none',
    );
  } finally {
    await rm(secretCopy, { force: true });
  }
  await writeFile(stampFile, stamp, { mode: 0o600 });
  return variables;
}
