/**
 * Other people's things on the same machine: in the engine a project with a running instance, a network, storage and a
 * volume, in the kernel a table. Whatever happens to us, their documents stay as they were, to the byte.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { buildTinyImage } from '../conformance/tiny-image.ts';
import { must, run, running } from '../e2e/installation.ts';
import type { EngineView } from './engine-view.ts';

export interface Bystanders {
  /** What is said of them now; where it differs from before, somebody touched them. */
  look(): Promise<Record<string, string>>;
  remove(): Promise<void>;
}

export async function plantBystanders(engine: EngineView): Promise<Bystanders> {
  await removeAbandoned(engine);
  const { name, bridge, table } = namesOf(process.pid);
  const folder = await mkdtemp(join(tmpdir(), 'poolhouse-bystanders-'));
  const change: EngineView['change'] = (...asked) => engine.change(...asked);
  const query = `project=${name}`;

  await change('POST', '/1.0/projects', {
    name,
    config: { 'features.images': 'true', 'features.profiles': 'true', 'features.storage.volumes': 'true' },
  });
  await change('POST', '/1.0/networks', {
    name: bridge,
    type: 'bridge',
    config: { 'ipv4.address': `198.18.${process.pid % 250}.1/24`, 'ipv6.address': 'none' },
  });
  await change('POST', '/1.0/storage-pools', { name, driver: 'dir', config: {} });
  await change('POST', `/1.0/storage-pools/${name}/volumes/custom?${query}`, { name: 'work', type: 'custom' });
  const image = await buildTinyImage(folder);
  const uploaded = await must('curl', [
    '-sS',
    '--unix-socket',
    engine.client.socketPath,
    '-X',
    'POST',
    '-H',
    'content-type: application/octet-stream',
    '--data-binary',
    `@${image}`,
    `http://daemon/1.0/images?${query}`,
  ]);
  const { metadata } = z.object({ metadata: z.object({ id: z.string() }) }).parse(JSON.parse(uploaded));
  const { fingerprint } = z
    .object({ metadata: z.object({ fingerprint: z.string() }) })
    .parse(await engine.get(`/1.0/operations/${metadata.id}/wait?timeout=60&${query}`)).metadata;
  await change('POST', `/1.0/instances?${query}`, {
    name,
    type: 'container',
    profiles: [],
    config: {},
    devices: {
      root: { type: 'disk', path: '/', pool: name },
      eth0: { type: 'nic', nictype: 'bridged', parent: bridge, name: 'eth0' },
    },
    source: { type: 'image', fingerprint },
  });
  await change('PUT', `/1.0/instances/${name}/state?${query}`, { action: 'start', timeout: 30 });
  await must('nft', ['add', 'table', 'inet', table]);
  await must('nft', ['add', 'chain', 'inet', table, 'untouched']);

  const pid = async () =>
    z.object({ pid: z.number() }).parse(await engine.get(`/1.0/instances/${name}/state?${query}`)).pid;
  const documents = {
    project: `/1.0/projects/${name}`,
    network: `/1.0/networks/${bridge}`,
    pool: `/1.0/storage-pools/${name}`,
    volume: `/1.0/storage-pools/${name}/volumes/custom/work?${query}`,
    image: `/1.0/images/${fingerprint}?${query}`,
    instance: `/1.0/instances/${name}?${query}`,
    profile: '/1.0/profiles/default',
  };
  return {
    async look() {
      const seen: Record<string, string> = {};
      for (const [what, path] of Object.entries(documents)) seen[what] = JSON.stringify(await engine.get(path));
      seen['first process inside'] = String(await pid());
      seen['table'] = await must('nft', ['list', 'table', 'inet', table]);
      return seen;
    },
    async remove() {
      await rm(folder, { recursive: true, force: true });
      await removeOf(engine, process.pid);
    },
  };
}

function namesOf(pid: number) {
  return { name: `bystander-${pid}`, bridge: `byst${pid}`, table: `bystander_${pid}` };
}

/** What a run that was killed has left. */
export async function removeAbandoned(engine: EngineView): Promise<void> {
  for (const path of z.array(z.string()).parse(await engine.get('/1.0/projects'))) {
    const pid = Number(/\/bystander-(\d+)$/.exec(path)?.[1]);
    if (pid > 0 && running([pid]).length === 0) await removeOf(engine, pid);
  }
}

async function removeOf(engine: EngineView, pid: number): Promise<void> {
  const { name, bridge, table } = namesOf(pid);
  const query = `project=${name}`;
  const gone = (method: 'PUT' | 'DELETE', path: string, body?: unknown) =>
    engine.change(method, path, body).catch((error: unknown) => {
      if (!/not found|already stopped/i.test(String(error))) throw error;
    });
  await run('nft', ['delete', 'table', 'inet', table]);
  await gone('PUT', `/1.0/instances/${name}/state?${query}`, { action: 'stop', force: true, timeout: 20 });
  await gone('DELETE', `/1.0/instances/${name}?${query}`);
  for (const image of z.array(z.string()).parse(await engine.get(`/1.0/images?${query}`)))
    await gone('DELETE', `/1.0/images/${image.split('/').at(-1)?.split('?')[0] ?? ''}?${query}`);
  await gone('DELETE', `/1.0/storage-pools/${name}/volumes/custom/work?${query}`);
  await gone('DELETE', `/1.0/projects/${name}`);
  await gone('DELETE', `/1.0/storage-pools/${name}`);
  await gone('DELETE', `/1.0/networks/${bridge}`);
}
