/**
 * An az configuration of the installation's own, already signed in. Debian's az 2.45 needs two of them: its default
 * profile cannot do compute and network commands, and the hybrid one cannot do monitoring.
 */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { PoolhouseError } from '../core/errors.ts';
import { lockFolder } from './lock.ts';
import type { Progress } from './progress.ts';
import { isMissingProgram, runCommand } from './run-command.ts';

export type AzProfile = 'latest' | 'hybrid';

export interface AzRequest {
  folder: string;
  profile: AzProfile;
  url: string;
  caFile: string;
  tenantId: string;
  clientId: string;
  /** Handed to az in a file that it reads itself, so that it stands in no argument list. */
  secret: string;
  /** The caller's environment, from which az finds itself and its proxies. */
  environment: NodeJS.ProcessEnv;
  progress: Progress;
  signal: AbortSignal;
}

const cloud = 'Poolhouse';
const azLimit = 120_000;

/**
 * The environment for az; signs in when that has not been done, or for another endpoint, authority or secret. One at a
 * time: others wait, and find it done.
 */
export async function ensureAzConfiguration(request: AzRequest): Promise<Record<string, string>> {
  await mkdir(request.folder, { recursive: true, mode: 0o700 });
  const unlock = await lockFolder(request.folder, request.progress, request.signal);
  try {
    return await signedIn(request);
  } finally {
    await unlock();
  }
}

/** What is reached without a proxy: this machine, and what the person has excepted already. */
export function withoutProxy(environment: NodeJS.ProcessEnv): string {
  const before = (environment['no_proxy'] ?? environment['NO_PROXY'] ?? '').split(',').map((name) => name.trim());
  return [...new Set([...before.filter((name) => name !== ''), '127.0.0.1', 'localhost'])].join(',');
}

async function signedIn(request: AzRequest): Promise<Record<string, string>> {
  const folder = join(request.folder, request.profile);
  const direct = withoutProxy(request.environment);
  const variables = {
    AZURE_CONFIG_DIR: folder,
    REQUESTS_CA_BUNDLE: request.caFile,
    AZURE_CORE_COLLECT_TELEMETRY: 'false',
    AZURE_CORE_NO_COLOR: 'true',
    // Programs look at either of the two.
    NO_PROXY: direct,
    no_proxy: direct,
  };
  const { secret } = request;
  const authority = await readFile(request.caFile, 'utf8').catch((error: unknown) => {
    throw new PoolhouseError('HostNotReady', `Control has not run yet. 'poolhouse up' starts it.`, { cause: error });
  });
  const stamp = createHash('sha256')
    .update(JSON.stringify([request.url, authority, request.tenantId, request.clientId, secret, request.profile]))
    .digest('hex');
  const stampFile = join(folder, '.poolhouse');
  if ((await readFile(stampFile, 'utf8').catch(() => '')) === stamp) return variables;

  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const secretCopy = join(folder, 'secret');
  await writeFile(secretCopy, secret, { mode: 0o600 }); // no line end, which az would take as part of it
  try {
    const az = async (...argv: string[]) => {
      const result = await runCommand('az', argv, {
        env: { ...request.environment, ...variables },
        timeoutMs: azLimit,
        signal: request.signal,
      }).catch((error: unknown) => {
        if (!isMissingProgram(error)) throw error;
        throw new PoolhouseError(
          'HostNotReady',
          `The 'az' command line is missing. Install it: apt-get install azure-cli`,
          { cause: error },
        );
      });
      if (result.exitCode !== 0) {
        const words = result.stderr.trim().split('\n').slice(-3).join(' ').replaceAll(secret, '…');
        throw new PoolhouseError(
          'HostNotReady',
          `'az ${argv.slice(0, 2).join(' ')}' failed: ${words}\nDoes control run? 'poolhouse status' tells.`,
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
      `--password=@${secretCopy}`, // one argument: a secret may begin with a hyphen, as options do
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
