/** Azure Files' REST interface without an engine: control on simulated instances, and the real worker on a folder of this machine. */
import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { createFilesApi } from '../../src/control/files-api.ts';
import type { ResourceId } from '../../src/core/resource-id.ts';
import { systemClock } from '../../src/core/system-clock.ts';
import { createSimEngine } from '../../src/engines/sim/sim-engine.ts';
import { prepareWorker } from '../../src/files/test-worker.ts';
import { createWorkerLink } from '../../src/files/worker-link.ts';
import { ensureCertificates } from '../../src/secrets/certificates.ts';
import { startSimControl, subscriptionId } from '../chaos/sim-control.ts';
import { Life } from '../chaos/mortal.ts';
import { must } from './installation.ts';

export const account = 'teamfiles';

export interface FilesGround {
  url: string;
  ca: string;
  caFile: string;
  /** Both of the account. */
  keys: string[];
  connectionString: string;
  /** The folder that holds a share's files. */
  folderOf(share: string): string;
  stop(): Promise<void>;
}

export async function prepareFiles(): Promise<FilesGround> {
  const folder = await mkdtemp(join(tmpdir(), 'poolhouse-files-'));
  const log = pino({ level: process.env['POOLHOUSE_FILES_LOG'] ?? 'silent' });
  const worker = await prepareWorker();
  const link = createWorkerLink({ log });
  await link.listen(worker.socketPath);
  worker.start();
  const sim = createSimEngine({ clock: systemClock });
  /** Simulated shares, each with a folder for the worker, as the file server would have them attached. */
  const engine = {
    ...sim,
    ensureShare: async (...asked: Parameters<typeof sim.ensureShare>) => {
      await sim.ensureShare(...asked);
      await worker.makeShare(asked[0].account, asked[0].share);
    },
    deleteShare: async (...asked: Parameters<typeof sim.deleteShare>) => {
      await sim.deleteShare(...asked);
      await rm(join(worker.root, asked[0], asked[1]), { recursive: true, force: true });
    },
  };
  const snapshotting = {
    ...engine,
    snapshotShare: async (...asked: Parameters<typeof sim.snapshotShare>) => {
      await sim.snapshotShare(...asked);
      const share = join(worker.root, asked[0], asked[1]);
      const snapshot = join(share, '.snapshots', asked[2]);
      await mkdir(snapshot, { recursive: true });
      await must('sh', ['-c', 'cd "$0" && find . -mindepth 1 -maxdepth 1 ! -name .snapshots -exec cp -a {} "$1" \\;', share, snapshot]); // prettier-ignore
    },
  };
  const clock = { ...systemClock, advance: () => undefined };
  const control = await startSimControl(join(folder, 'store.db'), snapshotting, clock, new Life(), randomUUID, undefined, { shareFiles: link.files }); // prettier-ignore
  const group = `/subscriptions/${subscriptionId}/resourceGroups/team` as ResourceId;
  const id = `${group}/providers/Microsoft.Storage/storageAccounts/${account}` as ResourceId;
  await control.service.put(group, { location: 'local' }, {});
  // What is taken by hand is counted.
  const tags = { 'poolhouse-snapshots': 'off' };
  await control.service.put(id, { location: 'local', sku: { name: 'Standard_LRS' }, tags }, {});
  const { body } = await control.service.act(id, 'listkeys', {});
  const keys = (body as { keys: { value: string }[] }).keys.map(({ value }) => value);
  const stopping = new AbortController();
  const turning = (async () => {
    while (!stopping.signal.aborted) {
      await control.turn();
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  })();

  const kept = new Map<string, string>();
  const certificates = await ensureCertificates({
    folder: join(folder, 'certificates'),
    keys: {
      read: (name) => Promise.resolve(kept.get(name)),
      write: (name, pem) => Promise.resolve(void kept.set(name, pem)),
    },
    names: ['127.0.0.1', 'localhost'],
    now: Date.now(),
  });
  const port = await freePort();
  const url = `https://127.0.0.1:${port}/`;
  const tls = { key: certificates.keyPem, cert: certificates.certificatePem };
  const api = createFilesApi({ world: { ...control.world, log }, shares: control.shares, tls, url });
  await new Promise<void>((resolve) => api.listen(port, '127.0.0.1', resolve));
  return {
    ...{ url, ca: certificates.caPem, caFile: certificates.caFile, keys },
    connectionString: `DefaultEndpointsProtocol=https;EndpointSuffix=core.windows.net;AccountName=${account};AccountKey=${keys[0] ?? ''};FileEndpoint=${url}${account}/`,
    folderOf: (share) => join(worker.root, account, share),
    async stop() {
      stopping.abort();
      await turning;
      api.closeAllConnections();
      await new Promise((resolve) => api.close(resolve));
      await worker.remove();
      await link.close();
      await control.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo; // a TCP server has one
  await new Promise((resolve) => server.close(resolve));
  return port;
}
