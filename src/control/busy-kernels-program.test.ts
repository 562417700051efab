/** The program that an image carries, run here against something that answers as a notebook server does. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { programFiles } from '../core/program-files.ts';

const program = join(programFiles.root, 'images/recipes/datascience/files/busy-kernels');
const uid = process.getuid?.() === 0 ? 31_338 : (process.getuid?.() ?? 0);
const user = { name: 'ada', uid, gid: uid };

/** Asked with another token it knows nobody. */
async function serveKernels(states: readonly string[]): Promise<number> {
  const server = createServer((request, response) => {
    const isKnown = request.url === '/user/ada/api/kernels' && request.headers.authorization === 'token hers';
    response.writeHead(isKnown ? 200 : 403, { 'content-type': 'application/json' });
    response.end(JSON.stringify(isKnown ? states.map((state) => ({ execution_state: state })) : { message: 'no' }));
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** A process that looks like a notebook server of hers. */
async function standIn(port: number, token: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'ph-kernels-'));
  await chmod(folder, 0o755);
  const script = join(folder, 'jupyterhub-singleuser');
  await writeFile(script, 'import sys, time\nprint("there", flush=True)\nsys.stdin.read()\n', { mode: 0o644 });
  const child = spawn('python3', [script], {
    env: {
      PATH: process.env['PATH'],
      JUPYTERHUB_SERVICE_URL: `http://127.0.0.1:${String(port)}/user/ada/`,
      JUPYTERHUB_API_TOKEN: token,
    },
    ...(process.getuid?.() === 0 ? { uid, gid: uid } : {}),
    stdio: ['pipe', 'pipe', 'ignore'],
  });
  onTestFinished(async () => {
    child.kill('SIGKILL');
    await rm(folder, { recursive: true });
  });
  await once(child.stdout, 'data');
}

async function ask(): Promise<unknown> {
  const child = spawn('python3', ['-I', program], { stdio: ['pipe', 'pipe', 'ignore'] });
  child.stdin.end(JSON.stringify({ users: [user] }));
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (piece: string) => (text += piece));
  await once(child, 'close');
  return JSON.parse(text);
}

const canRun = existsSync('/usr/bin/python3') && spawnSync('python3', ['-c', 'import os; os.pidfd_open']).status === 0;

describe.skipIf(!canRun)('kernels (needs python3)', () => {
  it.each([
    ['are busy where one of them is, also when it only waits', ['idle', 'busy'], 'hers', ['ada']],
    ['are not where all are done', ['idle', 'starting'], 'hers', []],
    ['are not where there are none', [], 'hers', []],
    ['are not where the server does not say', ['busy'], 'another', []],
  ])('%s', async (_, states, token, busy) => {
    await standIn(await serveKernels(states), token);
    expect(await ask()).toEqual({ busy });
  });

  it('are none where no notebook server runs', async () => {
    expect(await ask()).toEqual({ busy: [] });
  });
});
