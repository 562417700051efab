/**
 * The fetching helper: a process of its own without rights, because what it reads comes from strangers. One request as
 * JSON on standard input; the body on standard output; at the end one line of JSON on file descriptor 3.
 */
import { lookup } from 'node:dns/promises';
import { writeSync } from 'node:fs';
import { download, Refusal, type DownloadRequest } from './download.ts';

export interface FetchRequest extends DownloadRequest {
  /** After this the helper ends by itself, also when nobody is left to end it. */
  limitMs: number;
  user?: string;
}

export type FetchEnd = { ok: true } | { ok: false; code: 'FetchNotAllowed' | 'FetchFailed'; message: string };

function dropRights(user: string | undefined): void {
  if (process.getuid?.() !== 0) return;
  const account = user ?? 'nobody';
  process.setgroups?.([]);
  process.setgid?.(account === 'nobody' ? 'nogroup' : account);
  process.setuid?.(account);
}

async function readRequest(): Promise<FetchRequest> {
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8') as AsyncIterable<string>) text += chunk;
  return JSON.parse(text) as FetchRequest; // written by our own process
}

function end(result: FetchEnd): void {
  process.stdout.end(() => {
    writeSync(3, JSON.stringify(result));
    process.exit(0);
  });
}

try {
  const request = await readRequest();
  dropRights(request.user);
  setTimeout(() => process.exit(1), request.limitMs).unref();
  await download(request, {
    lookup: (host) => lookup(host, { order: 'verbatim' }),
    write: async (chunk) => {
      if (!process.stdout.write(chunk)) await new Promise((resolve) => process.stdout.once('drain', resolve));
    },
  });
  end({ ok: true });
} catch (error) {
  end({
    ok: false,
    code: error instanceof Refusal ? error.code : 'FetchFailed',
    message: error instanceof Refusal ? error.message : 'the download failed',
  });
}
