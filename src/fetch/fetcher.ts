/** Downloads for control (templates, parameters, scripts), and what it tells others. The network is touched only by an unprivileged process. */
import { spawn } from 'node:child_process';
import { constants } from 'node:fs';
import { open, realpath } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { Logger } from 'pino';
import { PoolhouseError } from '../core/errors.ts';
import { guardedProgram } from '../core/guarded-program.ts';
import { programFiles } from '../core/program-files.ts';
import { checkUrl, describeOrigin, describeSize, describeUrl, type FetchPolicy } from './policy.ts';
import type { FetchEnd, FetchRequest } from './fetch-main.ts';

export interface FetchOptions {
  maxBytes?: number;
  timeoutMs?: number;
  signal: AbortSignal;
}

export interface PostOptions {
  contentType: string;
  body: string;
  timeoutMs: number;
  signal: AbortSignal;
}

export interface Fetcher {
  /** The body. `FetchNotAllowed` where the policy forbids it, `FetchFailed` where it could not be had. */
  fetch(url: string, options: FetchOptions): Promise<Uint8Array>;
  /**
   * Posts to a URL that may hold a secret: no message and no log shows its path. Resolves where the answer has a status from 200
   * to 299. Mirrors do not count, redirects are not followed. `FetchNotAllowed`, `FetchFailed`.
   */
  post(url: string, options: PostOptions): Promise<void>;
}

export interface FetcherParts {
  policy: FetchPolicy;
  /** The account of the helper; `nobody` unless given. Without root it runs as ourselves. */
  user?: string;
  log: Logger;
}

const mostAtOnce = 4;
const mostWaiting = 32;
const usualBytes = 5 * 2 ** 20;
const usualLimit = 30_000;
const connectLimit = 10_000;
/** The helper's own limit is later than ours, which can say what happened. */
const helperGrace = 5_000;
const helper = programFiles.program('fetch/fetch-main');

export function createFetcher({ policy, user, log }: FetcherParts): Fetcher {
  let running = 0;
  const waiting: (() => void)[] = [];

  async function inTurn<T>(signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (running >= mostAtOnce) {
      if (waiting.length >= mostWaiting)
        throw new PoolhouseError('FetchFailed', `Too many downloads wait already. Try again in a minute.`, {
          retryable: true,
        });
      await turn(waiting, signal);
    } else running += 1;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next === undefined) running -= 1;
      else next();
    }
  }

  /** Has the helper do it, when it is its turn. */
  async function inHelper(
    request: Pick<FetchRequest, 'url' | 'maxBytes' | 'post'>,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Uint8Array> {
    return inTurn(signal, async () => {
      signal.throwIfAborted();
      if (request.post === undefined) log.info({ url: describeUrl(request.url) }, 'fetching');
      return run(
        {
          ...request,
          policy,
          connectMs: connectLimit,
          limitMs: timeoutMs + helperGrace,
          ...(user === undefined ? {} : { user }),
        },
        AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
        timeoutMs,
        signal,
      );
    });
  }

  return {
    async fetch(url, { maxBytes = usualBytes, timeoutMs = usualLimit, signal }) {
      const checked = checkUrl(url);
      if ('why' in checked)
        throw new PoolhouseError('FetchNotAllowed', `${describeUrl(url)} is not fetched: ${checked.why}.`);
      const mirrored = mirrorOf(url, policy.mirrors);
      if (mirrored !== undefined) return readMirror(mirrored, url, maxBytes);
      return inHelper({ url, maxBytes }, timeoutMs, signal);
    },
    async post(url, { contentType, body, timeoutMs, signal }) {
      await inHelper({ url, maxBytes: 0, post: { contentType, body } }, timeoutMs, signal);
    },
  };
}

/** Waits in the queue; who is aborted leaves it. */
async function turn(waiting: (() => void)[], signal: AbortSignal): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    const begin = () => {
      signal.removeEventListener('abort', leave);
      resolve();
    };
    const leave = () => {
      waiting.splice(waiting.indexOf(begin), 1);
      reject(signal.reason as Error);
    };
    waiting.push(begin);
    signal.addEventListener('abort', leave, { once: true });
  });
}

function run(request: FetchRequest, limit: AbortSignal, timeoutMs: number, signal: AbortSignal): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const [program = '', ...argv] = guardedProgram([helper], { fewRights: process.getuid?.() === 0 });
    const child = spawn(program, argv, {
      stdio: ['pipe', 'pipe', 'ignore', 'pipe'],
      env: { PATH: process.env['PATH'] ?? '' },
      cwd: '/',
      signal: limit,
      killSignal: 'SIGKILL',
    });
    const chunks: Buffer[] = [];
    let size = 0;
    let ending = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > request.maxBytes + 65_536) child.kill('SIGKILL');
      else chunks.push(chunk);
    });
    child.stdio[3]?.on('data', (chunk: Buffer) => (ending = (ending + chunk.toString('utf8')).slice(0, 4_096)));
    child.on('error', (error) => {
      if (signal.aborted) reject(signal.reason as Error);
      else if (limit.aborted)
        reject(
          new PoolhouseError(
            'FetchFailed',
            request.post === undefined
              ? `${describeUrl(request.url)} did not arrive within ${Math.round(timeoutMs / 1_000)} s.`
              : `${describeOrigin(request.url)} did not answer within ${Math.round(timeoutMs / 1_000)} s.`,
          ),
        );
      else reject(new PoolhouseError('FetchFailed', `The download could not be started.`, { cause: error }));
    });
    child.on('close', () => {
      const end = parseEnd(ending);
      if (end.ok) resolve(Buffer.concat(chunks));
      else reject(new PoolhouseError(end.code, `${end.message.charAt(0).toUpperCase()}${end.message.slice(1)}.`));
    });
    child.stdin?.on('error', () => undefined); // the end tells
    child.stdin?.end(JSON.stringify(request));
  });
}

function parseEnd(text: string): FetchEnd {
  try {
    return JSON.parse(text) as FetchEnd; // from our own helper
  } catch {
    return { ok: false, code: 'FetchFailed', message: 'the download ended early' };
  }
}

/**
 * The file that stands for a URL; undefined where no mirror's prefix fits. The longest prefix counts; one without a
 * slash at its end covers whole names only: `https://a.example` says nothing of `https://a.example.net`.
 */
function mirrorOf(url: string, mirrors: FetchPolicy['mirrors']): { folder: string; path: string } | undefined {
  const prefix = Object.keys(mirrors)
    .filter((one) => url.startsWith(one) && (one.endsWith('/') || /^([/?#]|$)/.test(url.slice(one.length))))
    .toSorted((a, b) => b.length - a.length)[0];
  if (prefix === undefined) return undefined;
  const rest = url.slice(prefix.length).split(/[?#]/)[0] ?? '';
  return { folder: mirrors[prefix] ?? '', path: rest };
}

async function readMirror(
  { folder, path }: { folder: string; path: string },
  url: string,
  maxBytes: number,
): Promise<Uint8Array> {
  const missing = (cause?: unknown) =>
    new PoolhouseError(
      'FetchFailed',
      `${describeUrl(url)} is not in its mirror ${folder}.`,
      cause === undefined ? {} : { cause },
    );
  let parts: string[];
  try {
    parts = decodeURIComponent(path)
      .split('/')
      .filter((part) => part !== '');
  } catch (error) {
    throw missing(error);
  }
  if (parts.some((part) => part === '..' || part === '.' || part.includes('\0')))
    throw new PoolhouseError('FetchNotAllowed', `${describeUrl(url)} leads out of its mirror.`);
  const root = await realpath(folder).catch((error: unknown) => {
    throw missing(error);
  });
  const file = await realpath(join(root, ...parts)).catch((error: unknown) => {
    throw missing(error);
  });
  if (!file.startsWith(`${root}${sep}`))
    throw new PoolhouseError('FetchNotAllowed', `${describeUrl(url)} leads out of its mirror.`);
  const opened = await open(file, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    (error: unknown) => {
      throw missing(error);
    },
  );
  try {
    const found = await opened.stat();
    if (!found.isFile()) throw missing();
    if (found.size > maxBytes)
      throw new PoolhouseError('FetchFailed', `${describeUrl(url)} is larger than ${describeSize(maxBytes)}.`);
    return await opened.readFile();
  } finally {
    await opened.close();
  }
}
