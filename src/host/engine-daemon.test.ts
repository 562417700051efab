/** How systemd is asked to start the engine's daemon; `test/conformance/engine-daemon.test.ts` has the real daemon. */
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ensureEngineDaemon } from './engine-daemon.ts';
import type { DaemonPlaces } from './engine-places.ts';

describe('the engine daemon with systemd', () => {
  const { signal } = new AbortController();
  let folder: string;
  let places: DaemonPlaces;
  let daemon: Server;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-systemd-'));
    await mkdir(join(folder, 'systemd'));
    await mkdir(join(folder, 'bin'));
    vi.stubEnv('PATH', `${join(folder, 'bin')}:/usr/bin:/bin`);
    places = {
      candidates: [
        { kind: 'incus', socketPath: join(folder, 'incus.socket'), units: ['incus.service', 'incus.socket'] },
        { kind: 'lxd', socketPath: join(folder, 'lxd.socket'), units: ['lxd.service', 'lxd.socket'] },
      ],
      systemdFolder: join(folder, 'systemd'),
      noteFile: join(folder, 'note'),
      lxcfsFolder: join(folder, 'lxcfs'),
    };
    daemon = createServer((_request, response) => {
      response
        .setHeader('content-type', 'application/json')
        .end(JSON.stringify({ type: 'sync', status: 'Success', status_code: 200, metadata: {} }));
    });
    await new Promise<void>((resolve) => daemon.listen(join(folder, 'daemon'), resolve));
  });
  afterEach(async () => {
    vi.unstubAllEnvs();
    daemon.closeAllConnections();
    daemon.close();
    await rm(folder, { recursive: true });
  });

  /** A systemctl that knows some units. `starts` is what lets a daemon answer. */
  async function systemctl(script: string): Promise<() => Promise<string[]>> {
    const file = join(folder, 'bin', 'systemctl');
    await writeFile(file, `#!/bin/sh\necho "$*" >> ${folder}/calls\n${script}\n`);
    await chmod(file, 0o755);
    return async () => (await readFile(join(folder, 'calls'), 'utf8').catch(() => '')).split('\n').filter(Boolean);
  }
  const answers = (kind: string) => `ln -s ${join(folder, 'daemon')} ${join(folder, `${kind}.socket`)}`;
  const ensure = () => ensureEngineDaemon({ logFolder: join(folder, 'log'), signal, places });

  it('is enabled and started, and used as it is from then on', async () => {
    const calls = await systemctl(answers('incus'));
    const incus = { kind: 'incus', socketPath: join(folder, 'incus.socket') };
    expect(await ensure()).toEqual({ ...incus, startedByUs: true });
    expect(await ensure()).toEqual({ ...incus, startedByUs: false });
    expect(await calls()).toEqual(['enable --now incus.service incus.socket']);
  });

  it('is only started where it cannot be enabled', async () => {
    const calls = await systemctl(`test "$1" = start || exit 1\n${answers('incus')}`);
    expect(await ensure()).toMatchObject({ kind: 'incus' });
    expect(await calls()).toEqual(['enable --now incus.service incus.socket', 'start incus.service incus.socket']);
  });

  it('is looked for by its other names', async () => {
    await systemctl(`case "$*" in *incus*) exit 5;; esac\n${answers('lxd')}`);
    expect(await ensure()).toMatchObject({ kind: 'lxd' });
  });

  it('is said to be missing where systemd has none', async () => {
    await systemctl('exit 5');
    await expect(ensure()).rejects.toMatchObject({
      code: 'HostNotReady',
      message: expect.stringContaining('apt-get install incus') as string,
    });
  });
});
