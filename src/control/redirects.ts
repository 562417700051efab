/**
 * Puts the kernel's part of the front ends in place. The kernel is the only memory: a table whose comment shows the
 * script's mark is left alone, anything else (nothing, another version, a firewall that was reloaded over it) is replaced.
 */
import { spawn } from 'node:child_process';
import { z } from 'zod';
import { PoolhouseError } from '../core/errors.ts';
import { redirectTableName, refusedSet } from '../pool/render-redirects.ts';
import type { RedirectScript } from '../pool/render-redirects.ts';

const limitMs = 20_000;

/**
 * Makes the kernel's table so; cheap when it already is, so it may be called often.
 * `HostNotReady` where nft is missing, forbidden, or refuses the script; the table before stays as it was.
 */
export async function applyRedirects(script: RedirectScript, signal: AbortSignal): Promise<{ changed: boolean }> {
  const present = await nft(['-t', 'list', 'table', 'inet', script.table], undefined, signal);
  if (present.exitCode === 0 && present.stdout.includes(`comment "${script.mark}"`)) return { changed: false };
  const outcome = await nft(['-f', '-'], script.text, signal);
  if (outcome.exitCode !== 0) throw refused('install', script.table, outcome.stderr);
  return { changed: true };
}

/** Takes the installation's table away, and nothing else. Nil when already gone. */
export async function removeRedirects(installation: string, signal: AbortSignal): Promise<void> {
  const table = redirectTableName(installation);
  // Made first where it is missing: then deleting succeeds either way, in one transaction.
  const script = ['inet', 'bridge'].map((family) => `table ${family} ${table}\ndelete table ${family} ${table}\n`);
  const outcome = await nft(['-f', '-'], script.join(''), signal);
  if (outcome.exitCode !== 0) throw refused('remove', table, outcome.stderr);
}

const refusedSchema = z.object({
  nftables: z.array(
    z.looseObject({
      set: z
        .looseObject({
          elem: z
            .array(z.object({ elem: z.looseObject({ val: z.string(), counter: z.object({ packets: z.number() }) }) }))
            .optional(),
        })
        .optional(),
    }),
  ),
});

/** How many packets of each address were refused since the table was made; empty where there is no table. */
export async function readRefused(installation: string, signal: AbortSignal): Promise<Map<string, number>> {
  const argv = ['-j', 'list', 'set', 'inet', redirectTableName(installation), refusedSet];
  const outcome = await nft(argv, undefined, signal);
  if (outcome.exitCode !== 0) return new Map();
  const elements = refusedSchema.parse(JSON.parse(outcome.stdout)).nftables.flatMap((one) => one.set?.elem ?? []);
  return new Map(elements.map(({ elem }) => [elem.val, elem.counter.packets]));
}

interface NftOutcome {
  exitCode: number | null;
  stdout: string;
  stderr: string;
}

function nft(argv: readonly string[], stdin: string | undefined, signal: AbortSignal): Promise<NftOutcome> {
  return new Promise((resolve, reject) => {
    const child = spawn('nft', argv, {
      signal,
      timeout: limitMs,
      stdio: 'pipe',
      // nft lives in /usr/sbin, which is not on everybody's path.
      env: { PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`, LC_ALL: 'C' },
    });
    let stdout = '';
    let stderr = '';
    const keep = 256 * 1024;
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout = (stdout + text).slice(0, keep)));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(0, keep)));
    // nft that ends before it has read everything: its exit code tells.
    child.stdin.on('error', () => undefined);
    child.once('error', (cause) => {
      if (signal.aborted) reject(cause);
      else {
        reject(
          new PoolhouseError(
            'HostNotReady',
            'nft cannot be run. Install it (Debian and Ubuntu: apt-get install nftables).',
            { cause },
          ),
        );
      }
    });
    child.once('close', (exitCode) => {
      resolve({ exitCode, stdout, stderr });
    });
    child.stdin.end(stdin ?? '');
  });
}

function refused(verb: string, table: string, stderr: string): PoolhouseError {
  const reason = stderr.trim().split('\n', 1)[0] ?? '';
  const advice = /not permitted|denied/i.test(stderr)
    ? 'Run as root.'
    : 'Public addresses do not lead to the gateway until this works; `nft list ruleset` shows what the kernel has.';
  return new PoolhouseError(
    'HostNotReady',
    `The kernel refused to ${verb} the redirects of table '${table}': ${reason}. ${advice}`,
    {
      cause: new Error(stderr),
      retryable: true,
    },
  );
}
