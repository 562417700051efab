/**
 * The control process: the ARM API, the loops, the instances' doors, and the link to the gateway, put together.
 * Everything is made here and handed down; nothing below keeps state of its own.
 */
import { randomUUID } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { Server as TlsServer } from 'node:tls';
import { parseArgs } from 'node:util';
import { pino } from 'pino';
import { createArmServer } from '../arm/server.ts';
import { createTokens } from '../arm/tokens.ts';
import { readConfig } from '../core/config.ts';
import { errorBodyOf, PoolhouseError } from '../core/errors.ts';
import { homeAt, runtimeFolderOf } from '../core/home.ts';
import { blockAddresses, installationSchema } from '../core/installation.ts';
import type { Json } from '../core/json.ts';
import { programFiles } from '../core/program-files.ts';
import type { ResourceId } from '../core/resource-id.ts';
import { systemClock } from '../core/system-clock.ts';
import type { Engine } from '../engines/engine.ts';
import { createIncusEngine } from '../engines/incus/incus-engine.ts';
import { createSimEngine } from '../engines/sim/sim-engine.ts';
import { createFetcher } from '../fetch/fetcher.ts';
import { buildImage, hostSuite } from '../images/build-image.ts';
import { loadCatalogue, resolveImage } from '../images/catalogue.ts';
import { fingerprintOf, loadRecipe } from '../images/recipe.ts';
import { createLinkServer } from '../link/server.ts';
import { renderRedirects } from '../pool/render-redirects.ts';
import { allTypes } from '../providers/all-types.ts';
import { createResourceService } from '../providers/create-resource-service.ts';
import { createRegistry, type Surroundings } from '../providers/resource-type.ts';
import { createSecrets, sameSecret } from '../secrets/secrets.ts';
import { ensureCertificates, renewCertificates } from '../secrets/certificates.ts';
import { openStore, type Queries } from '../store/store.ts';
import { findInstances } from '../store/instance-records.ts';
import { parseLenient } from '../template/parse-lenient.ts';
import { startAdminServer } from './admin-server.ts';
import { createCustomScripts } from './custom-scripts.ts';
import { createDeploymentLoop } from './deployment-loop.ts';
import { createFrontEndLoop } from './front-end-loop.ts';
import { createGatewayReports } from './gateway-reports.ts';
import { hashPassword } from './hash-password.ts';
import { createImageKeeper } from './image-keeper.ts';
import { createInstanceDoors } from './instance-doors.ts';
import { createListenPorts } from './listen-ports.ts';
import { createLiveView } from './live-view.ts';
import { createMounts } from './mounts.ts';
import { applyRedirects } from './redirects.ts';
import { createResourceGroupLoop } from './resource-group-loop.ts';
import { runLoop, type Loop } from './run-loop.ts';
import { createScaleSetLoop } from './scale-set-loop.ts';
import { createScaleSetSteps } from './scale-set-steps.ts';
import { settleAddresses } from './settle-addresses.ts';
import { createShareLoop } from './share-loop.ts';
import { statusDocument } from './status.ts';
import type { World } from './world.ts';

const day = 24 * 3_600_000;
const stopLimit = 20_000;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      home: { type: 'string' },
      'engine-socket': { type: 'string' },
      group: { type: 'string' },
      'log-level': { type: 'string', default: 'info' },
    },
  });
  const log = pino(
    { level: values['log-level'], base: { process: 'control' } },
    pino.destination({ fd: 1, sync: true }),
  );
  const home = homeAt(values.home ?? '/var/lib/poolhouse');
  const clock = systemClock;
  const stopping = new AbortController();
  const { signal } = stopping;
  const isRoot = process.getuid?.() === 0;

  const installation = installationSchema.parse(JSON.parse(await readFile(home.installation, 'utf8')));
  const config = readConfig(await readJson(home.config), home.config);
  const run = runtimeFolderOf(home, installation.id, isRoot);
  await mkdir(run.instances, { recursive: true, mode: 0o700 });
  const url = `https://127.0.0.1:${installation.apiPort}`;

  const masterKey = await readFile(home.secretKey);
  const clientSecret = (await readFile(home.clientSecret, 'utf8')).trim();
  const certificateRequest = () => ({
    folder: home.certificates,
    names: ['127.0.0.1', 'localhost'],
    now: clock.now(),
  });
  let certificates = await ensureCertificates(certificateRequest());
  const secrets = createSecrets(masterKey);
  const store = await openStore(home.store);

  const engine: Engine =
    installation.engine === 'sim'
      ? createSimEngine({ clock, stateFile: `${home.folder}/sim.json` })
      : createIncusEngine({
          installation: installation.id,
          socketPath: values['engine-socket'] ?? '/var/lib/lxd/unix.socket',
          addressRange: config.instanceRange,
          poolBytes: config.poolGiB * 2 ** 30,
        });
  await engine.prepare(signal);
  const capabilities = engine.capabilities();

  const catalogue = await loadCatalogue([home.catalogue, `${programFiles.root}/images/catalogue.json`]);
  const surroundings: Surroundings = {
    engine: capabilities,
    recipeOf: (image) => (capabilities.real ? resolveImage(image, catalogue) : 'simulated'),
  };
  const fetcher = createFetcher({
    policy: {
      mirrors: config.mirrors,
      fetchAllow: config.fetchAllow,
      forbidden: [`127.0.0.1:${installation.apiPort}`],
    },
    log,
  });
  const fetchDocument = (address: string, fetchSignal: AbortSignal = signal) =>
    fetcher.fetch(address, { signal: fetchSignal });

  const loopbackAddresses = blockAddresses(installation.addressBlock);
  await settleAddresses(store, config.publicAddresses, loopbackAddresses, log);

  const live = createLiveView();
  const reports = createGatewayReports();
  const subscription = {
    subscriptionId: installation.subscriptionId,
    tenantId: installation.tenantId,
    displayName: 'Poolhouse',
  };
  const loops: Loop[] = [];
  const changed = () => {
    for (const loop of loops) loop.wake();
  };
  const registry = createRegistry(
    allTypes({
      live,
      addresses: {
        candidates: [...config.publicAddresses, ...loopbackAddresses],
        domain: 'cloudapp.poolhouse.internal',
      },
      deployments: {
        fetch: (address) => fetchDocument(address),
        subscription,
        check: (queries, id, body) => service.check(queries, id as ResourceId, body), // an id made by `formatResourceId`
      },
    }),
  );
  const service = createResourceService({
    store,
    secrets,
    registry,
    subscription,
    surroundings,
    clock,
    newId: randomUUID,
    changed,
  });
  const world: World = {
    store,
    engine,
    secrets,
    registry,
    service,
    reports,
    live,
    clock,
    log,
    newId: randomUUID,
    changed,
  };
  const typeContext = (queries: Queries) => ({
    queries,
    secrets,
    surroundings,
    now: clock.now(),
    newId: () => randomUUID(),
  });

  const mounts = createMounts(world);
  const doors = createInstanceDoors({ folder: run.instances, mounts, clock, log });
  const { suite } = await hostSuite();
  const recipeFolders = [home.recipes, `${programFiles.root}/images/recipes`];
  const fingerprint = async (recipe: string) => {
    const loaded = await loadRecipe(recipe, recipeFolders);
    return fingerprintOf(loaded, loaded.suite ?? suite);
  };
  const images = createImageKeeper({
    engine,
    fingerprint: (recipe) => (capabilities.real ? fingerprint(recipe) : Promise.resolve('0'.repeat(64))),
    build: async (recipe, buildSignal) => {
      const loaded = await loadRecipe(recipe, recipeFolders);
      return buildImage({
        recipe: loaded,
        fingerprint: await fingerprint(recipe),
        suite: loaded.suite ?? suite,
        folder: home.images,
        onProgress: (phase) => {
          log.info({ recipe, phase }, 'the image is being built');
        },
        signal: buildSignal,
        log,
      });
    },
    clock,
    log,
    signal,
    changed,
  });
  const scripts = createCustomScripts({ store, secrets, engine, mounts, fetch: fetchDocument, clock });
  const steps = createScaleSetSteps({ world, surroundings, images, doors, scripts, hashPassword });
  const scaleSetLoop = createScaleSetLoop(world, steps, images);
  const ports = createListenPorts(store, installation.id);
  const frontEnds = createFrontEndLoop({
    world,
    ports,
    publish: (table) => {
      link.publish(table);
    },
    redirect: async (routes, redirectSignal) => {
      // A simulated pool has nothing to lead to; without root the kernel's rules cannot be set.
      if (!capabilities.real) return;
      await applyRedirects(
        renderRedirects({ installation: installation.id, routes: [...routes], bridge: `ph${installation.id}` }),
        redirectSignal,
      );
    },
  });
  const link = createLinkServer({
    socketPath: run.linkSocket,
    currentTable: () => frontEnds.table(),
    onReport: async (report) => {
      for (const failure of report.failures) {
        log.warn({ route: failure.route }, `the gateway could not open a port: ${failure.message}`);
        await ports.giveUp(failure.route);
      }
      if (reports.take(report, clock.now()) || report.failures.length > 0) changed();
    },
    onError: (error) => {
      log.error({ err: error }, 'a request of the gateway failed');
    },
    ...(values.group === undefined ? {} : { socketGroup: await groupId(values.group) }),
  });

  for (const instance of await findInstances(store.db)) if (capabilities.real) await doors.open(instance.name);
  const loop = (name: string, pass: (passSignal: AbortSignal) => Promise<number>) => {
    loops.push(runLoop({ name, pass, clock, log, signal }));
  };
  loop('scale sets', (passSignal) => scaleSetLoop.pass(passSignal));
  loop('front ends', (passSignal) => frontEnds.pass(passSignal));
  loop('shares', createShareLoop(world, typeContext));
  loop('resource groups', createResourceGroupLoop(world, typeContext));
  loop('deployments', createDeploymentLoop(world));
  await link.listen();

  const arm = createArmServer({
    service,
    tokens: createTokens(
      Buffer.from(secrets.digest('token signing', installation.id)),
      {
        tenantId: installation.tenantId,
        clientId: installation.clientId,
        secretFits: (secret) => sameSecret(secret, clientSecret),
      },
      clock,
    ),
    tls: { key: certificates.keyPem, cert: certificates.certificatePem },
    url,
    log,
  });
  await arm.listen({ host: '127.0.0.1', port: installation.apiPort });
  const admin = await startAdminServer({
    socketPath: run.adminSocket,
    health: () => Promise.resolve({ healthy: true, pid: process.pid }),
    status: () => statusDocument(world, url),
    journal: async (name, lines, journalSignal) => {
      const instance = (await findInstances(store.db)).find((one) => one.hostname === name || one.name === name);
      if (instance === undefined)
        throw new PoolhouseError('InstanceNotFound', `There is no instance '${name}'. 'poolhouse status' lists them.`);
      const result = await engine.exec(
        instance.name,
        ['journalctl', '--no-pager', '-q', '-n', String(lines)],
        { keepBytes: 2 ** 20 },
        journalSignal,
      );
      return result.stdout;
    },
    onError: (error) => {
      log.error({ err: error }, 'a question of the command line could not be answered');
    },
  });
  const renewal = runLoop({
    name: 'certificates',
    pass: async () => {
      const renewed = await renewCertificates(certificates, certificateRequest());
      if (renewed === undefined) return day;
      certificates = renewed;
      if (arm.server instanceof TlsServer)
        arm.server.setSecureContext({ key: renewed.keyPem, cert: renewed.certificatePem });
      log.info('the certificate of the API was renewed');
      return day;
    },
    clock,
    log,
    signal,
  });
  log.info({ url, installation: installation.id, engine: installation.engine }, 'control serves');

  await new Promise<void>((resolve) => {
    for (const name of ['SIGTERM', 'SIGINT'] as const)
      process.on(name, () => {
        resolve();
      });
  });
  log.info('control stops');
  stopping.abort(new Error('control stops'));
  const late = setTimeout(() => process.exit(1), stopLimit);
  await admin.close();
  await arm.close();
  await link.close();
  await Promise.all([...loops, renewal].map((one) => one.stopped));
  await Promise.all([scaleSetLoop.idle(), images.idle()]);
  await doors.closeAll();
  await store.close();
  clearTimeout(late);
  process.exit(0);
}

async function readJson(file: string): Promise<Json> {
  const text = await readFile(file, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  });
  return text.trim() === '' ? {} : parseLenient(text).value;
}

/** The number of a group, from /etc/group. */
async function groupId(name: string): Promise<number> {
  const line = (await readFile('/etc/group', 'utf8')).split('\n').find((one) => one.startsWith(`${name}:`));
  const id = Number(line?.split(':')[2]);
  if (!Number.isInteger(id))
    throw new PoolhouseError('HostNotReady', `The group '${name}' does not exist. 'poolhouse up' makes it.`);
  return id;
}

main().catch((error: unknown) => {
  process.stderr.write(
    `${JSON.stringify({ level: 60, time: Date.now(), process: 'control', msg: `control could not start: ${errorBodyOf(error).message}`, err: error instanceof Error ? { message: error.message, stack: error.stack } : String(error) })}\n`,
  );
  process.exit(1);
});
