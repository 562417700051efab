/**
 * Somebody else on the machine: an instance of theirs in the engine's default project, with a network, a storage pool, a
 * volume, an image and a profile, a table of nftables, and programs on ports that Poolhouse would like to have.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'vitest';
import { createRestClient, isMissing, unless } from '../../src/engines/incus/rest-client.ts';
import { buildTinyImage } from '../conformance/tiny-image.ts';
import { must, run } from './installation.ts';
import { pictureOfEngine } from './machine-picture.ts';

export interface Neighbour {
  name: string;
  /** Fails where anything of theirs does not go on as it was: same processes, same answers. */
  expectUndisturbed(): Promise<void>;
  remove(): Promise<void>;
}

const ports = [8_943, 22, 2_222, 15_000];
/** Listens on all addresses, as an sshd does, and says who it is. Where the port is taken, somebody listens already. */
const listener = `
const { createServer } = require('node:net');
let left = ${ports.length};
for (const port of [${ports.join()}]) {
  const server = createServer((socket) => socket.end('the neighbour'));
  const done = () => { if (--left === 0) console.log('ready'); };
  server.once('error', done).listen(port, '0.0.0.0', done);
}`;

export async function plantNeighbour(socketPath: string): Promise<Neighbour> {
  const name = `nbr${randomBytes(3).toString('hex')}`;
  const folder = await mkdtemp(join(tmpdir(), 'poolhouse-neighbour-'));
  const client = createRestClient(socketPath);
  const signal = AbortSignal.timeout(30 * 60_000);
  const post = (path: string, body: object) => client.change('POST', path, body, signal);

  await post('/1.0/networks', {
    name,
    type: 'bridge',
    config: { 'ipv4.address': '10.230.255.1/24', 'ipv4.nat': 'true', 'ipv6.address': 'none' },
  });
  await post('/1.0/storage-pools', { name, driver: 'dir' });
  await post('/1.0/profiles', {
    name,
    devices: {
      root: { type: 'disk', path: '/', pool: name },
      eth0: { type: 'nic', network: name, name: 'eth0' },
    },
  });
  await post(`/1.0/storage-pools/${name}/volumes/custom`, { name: 'data', type: 'custom' });
  const image = (await client.upload(
    '/1.0/images',
    createReadStream(await buildTinyImage(folder)),
    { 'content-type': 'application/octet-stream', 'x-lxd-filename': 'image', 'x-incus-filename': 'image' },
    signal,
  )) as { fingerprint: string }; // the daemon's own shape
  await post('/1.0/instances', {
    name,
    type: 'container',
    profiles: [name],
    devices: { data: { type: 'disk', pool: name, source: 'data', path: '/mnt' } },
    source: { type: 'image', fingerprint: image.fingerprint },
  });
  await client.change('PUT', `/1.0/instances/${name}/state`, { action: 'start', timeout: 30 }, signal);
  await must('nft', ['add', 'table', 'inet', name]);
  await must('nft', ['add', 'chain', 'inet', name, 'input', '{ type filter hook input priority 5; policy accept; }']);
  await must('nft', ['add', 'rule', 'inet', name, 'input', 'tcp', 'dport', '4242', 'reject']);
  const program = spawn(process.execPath, ['-e', listener], { stdio: ['ignore', 'pipe', 'ignore'], cwd: '/' });
  await once(program.stdout, 'data');

  const pid = async () => {
    const state = await client.get(`/1.0/instances/${name}/state`, signal);
    return (state as { pid: number }).pid; // the daemon's own shape
  };
  const look = async () => [
    `pid ${await pid()}`,
    ...(await answers(program)).map((text, index) => `${ports[index] ?? ''} ${text ?? 'closed'}`),
    ...(await pictureOfEngine(socketPath)).filter((line) => line.includes(name) || /^default images/.test(line)),
    ...(await must('nft', ['list', 'table', 'inet', name])).split('\n'),
  ];
  const before = await look();

  return {
    name,
    async expectUndisturbed() {
      expect(await look()).toEqual(before);
    },
    async remove() {
      program.kill();
      const gone = (path: string) => unless(isMissing, () => client.change('DELETE', path, undefined, signal));
      await unless(isMissing, () =>
        client.change('PUT', `/1.0/instances/${name}/state`, { action: 'stop', force: true, timeout: 30 }, signal),
      ).catch(() => undefined);
      await gone(`/1.0/instances/${name}`);
      await gone(`/1.0/storage-pools/${name}/volumes/custom/data`);
      await gone(`/1.0/images/${image.fingerprint}`);
      await gone(`/1.0/profiles/${name}`);
      await gone(`/1.0/storage-pools/${name}`);
      await gone(`/1.0/networks/${name}`);
      client.close();
      await run('nft', ['delete', 'table', 'inet', name]);
      await rm(folder, { recursive: true });
    },
  };
}

/** What each of the ports says to who comes by loopback; undefined where nobody listens. */
async function answers(program: ChildProcess): Promise<(string | undefined)[]> {
  if (program.exitCode !== null || program.signalCode !== null) throw new Error(`The neighbour's program has ended.`);
  return Promise.all(
    ports.map(
      (port) =>
        new Promise<string | undefined>((resolve) => {
          const socket = connect({ host: '127.0.0.1', port });
          socket.setTimeout(5_000, () => socket.destroy());
          let text = '';
          socket.on('data', (chunk) => {
            text += String(chunk);
            if (text !== '') resolve(text.slice(0, 20));
          });
          socket.on('error', () => undefined);
          socket.on('close', () => {
            resolve(text === '' ? undefined : text.slice(0, 20));
          });
        }),
    ),
  );
}
