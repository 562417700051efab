/**
 * The control process: the ARM API, the loops, the instances' doors, and the link to the gateway, put together.
 * Everything is made here and handed down; nothing below keeps state of its own.
 */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { createArmServer } from '../arm/server.ts';
import { createTokens } from '../arm/tokens.ts';
import { readConfig } from '../core/config.ts';
import { endFailed } from '../core/end-failed.ts';
import { errorBodyOf, PoolhouseError } from '../core/errors.ts';
import { homeAt, runtimeFolderOf } from '../core/home.ts';
import { blockAddresses, installationSchema } from '../core/installation.ts';
import type { Json } from '../core/json.ts';
import { programFiles } from '../core/program-files.ts';
import { systemClock } from '../core/system-clock.ts';
import type { Engine } from '../engines/engine.ts';
import { createIncusEngine } from '../engines/incus/incus-engine.ts';
import { createSimEngine } from '../engines/sim/sim-engine.ts';
import { createFetcher } from '../fetch/fetcher.ts';
import { createWorkerLink } from '../files/worker-link.ts';
import { loadCatalogue, resolveImage } from '../images/catalogue.ts';
import type { RoutingTable } from '../link/routes.ts';
import { createLinkServer } from '../link/server.ts';
import { createProcessMetrics } from '../monitor/metric-registry.ts';
import { openLog } from '../monitor/open-log.ts';
import { renderRedirects } from '../pool/render-redirects.ts';
import type { Surroundings } from '../providers/resource-type.ts';
import { sameSecret } from '../secrets/secrets.ts';
import { ensureCertificates } from '../secrets/certificates.ts';
import { openStore } from '../store/store.ts';
import { findInstances } from '../store/instance-records.ts';
import { parseLenient } from '../template/parse-lenient.ts';
import { startAdminServer } from './admin-server.ts';
import { hashPassword } from './hash-password.ts';
import { assembleControl } from './assemble.ts';
import { awaitEngine } from './await-engine.ts';
import { renewCertificate } from './renew-certificate.ts';
import { createFilesApi, listenForFiles } from './files-api.ts';
import { createControlMetrics } from './control-metrics.ts';
import { createControlMonitor } from './control-monitor.ts';
import { whyInstance } from './instance-facts.ts';
import { createListenPorts } from './listen-ports.ts';
import { createLoopWatch } from './loop-watch.ts';
import { observeFetch } from './observe-downloads.ts';
import { observeEngine } from './observe-engine.ts';
import { createGiveUpMount } from './give-up-mount.ts';
import { createOperatorDrain } from './operator-drain.ts';
import { readCosts } from './read-costs.ts';
import { ownPasses } from './own-passes.ts';
import { createPresenceReader, nobodyIsFound } from './read-presences.ts';
import { applyRedirects, readRefused } from './redirects.ts';
import { poolHistory } from './pool-history.ts';
import { createRefusedPackets } from './refused-packets.ts';
import { runLoop, type Loop } from './run-loop.ts';
import { createSendMail } from './send-mail.ts';
import { createNotifications } from './send-notifications.ts';
import { createSessionDesk } from './session-desk.ts';
import { openSecrets, untilPassphrase } from './open-secrets.ts';
import { readJournal } from './read-journal.ts';
import { createRecipeImages } from './recipe-images.ts';
import { refuseLostStore } from './refuse-lost-store.ts';
import { createHostCertificates } from './host-certificates.ts';
import { ensureSshIdentity, publicHostKeys } from './ssh-identity.ts';
import { fileServerName, isService } from './service-instances.ts';
import { settleAddresses, settleServiceAddress } from './settle-addresses.ts';
import { settleInstanceAddresses } from './settle-instance-addresses.ts';
import { statusDocument } from './status.ts';
import { createWebFront } from './web-front.ts';
import { workspaceUsage } from './workspace-usage.ts';

const stopLimit = 20_000;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      home: { type: 'string' },
      'engine-socket': { type: 'string' },
      group: { type: 'string' },
      build: { type: 'string', default: 'unknown' },
    },
  });
  const processMetrics = createProcessMetrics(values.build);
  const log = openLog('control', 'info', (level) => {
    processMetrics.logged(level);
  });
  const home = homeAt(values.home ?? '/var/lib/poolhouse');
  const clock = systemClock;
  const stopping = new AbortController();
  const { signal } = stopping;
  const isRoot = process.getuid?.() === 0;

  const installation = installationSchema.parse(JSON.parse(await readFile(home.installation, 'utf8')));
  const config = readConfig(await readJson(home.config), home.config);
  log.level = config.logLevel;
  const run = runtimeFolderOf(home, installation.id, isRoot);
  await mkdir(run.folder, { recursive: true, mode: 0o711 });
  // These begin before all that may fail: every attempt to start keeps the logs small.
  const ownLoops = Object.entries(ownPasses(home, run)).map(([name, pass]) =>
    runLoop({ name, pass, clock, log, signal }),
  );
  const places = { file: home.masterKey, memoryFile: run.masterKey, credentials: process.env['CREDENTIALS_DIRECTORY'] };
  if (config.masterKey === 'passphrase') await untilPassphrase(home.store, places, clock, log);
  const url = `https://127.0.0.1:${installation.apiPort}`;
  const filesUrl = installation.filesPort === undefined ? undefined : `https://127.0.0.1:${installation.filesPort}/`;

  const metrics = createControlMetrics(processMetrics.registry);
  const watch = createLoopWatch(clock, metrics);
  const rawEngine: Engine =
    installation.engine === 'sim'
      ? createSimEngine({ clock, stateFile: `${home.folder}/sim.json` })
      : createIncusEngine({
          installation: installation.id,
          socketPath: values['engine-socket'] ?? '/var/lib/lxd/unix.socket',
          addressRange: config.instanceRange,
          poolBytes: config.poolGiB * 2 ** 30,
        });
  const observedEngine = observeEngine(rawEngine, clock, (method, outcome, milliseconds) => {
    metrics.engineCalled(method, outcome, milliseconds);
    log.debug({ method, outcome, milliseconds }, 'call to the engine');
  });
  const { engine } = observedEngine;
  const monitor = createControlMonitor({
    home,
    processMetrics,
    metrics,
    loops: watch,
    engine: observedEngine,
    clock,
    log,
  });
  if (installation.metricsPorts !== undefined) monitor.serveOn(installation.metricsPorts.control);
  await awaitEngine(engine, { clock, log, signal });
  const capabilities = engine.capabilities();

  await refuseLostStore(home, engine, signal);
  const store = await openStore(home.store, { backups: home.backups, now: clock.now() });
  const { secrets, clientSecret, privateKeys, changeMasterKey } = await openSecrets(store, home, places, () =>
    clock.now(),
  );
  const certificateRequest = { folder: home.certificates, keys: privateKeys, names: ['127.0.0.1', 'localhost'] };
  let certificates = await ensureCertificates({ ...certificateRequest, now: clock.now() });

  const catalogue = await loadCatalogue([home.catalogue, `${programFiles.root}/images/catalogue.json`]);
  const surroundings: Surroundings = {
    engine: capabilities,
    recipeOf: (image) => (capabilities.real ? resolveImage(image, catalogue) : 'simulated'),
    ...(filesUrl === undefined ? {} : { filesUrl }),
  };
  const fetcher = createFetcher({
    policy: {
      mirrors: config.mirrors,
      fetchAllow: config.fetchAllow,
      forbidden: [installation.apiPort, installation.filesPort, ...Object.values(installation.metricsPorts ?? {})]
        .filter((port) => port !== undefined)
        .map((port) => `127.0.0.1:${port}`),
    },
    log,
  });
  const fetchDocument = observeFetch(
    (address: string, fetchSignal: AbortSignal = signal) => fetcher.fetch(address, { signal: fetchSignal }),
    clock,
    metrics,
  );

  const notifications = createNotifications({
    ...{ store, post: (address, options) => fetcher.post(address, options), clock, log, newId: randomUUID, signal },
    alerts: config.alerts,
    sendMail: config.smtp === undefined ? undefined : createSendMail(config.smtp),
  });

  const loopbackAddresses = blockAddresses(installation.addressBlock);
  await settleAddresses(store, config.publicAddresses, loopbackAddresses, log);
  await settleInstanceAddresses(store, engine, log, signal);
  if (existsSync(home.restoring))
    log.warn(`a backup is being restored: instances are started when 'poolhouse restore' has ended`);
  const waysInAddress = await settleServiceAddress(
    store,
    { owner: fileServerName, isWanted: config.smb || config.nfs.length > 0 },
    config.publicAddresses,
    loopbackAddresses,
  );

  const loops: Loop[] = [];
  const changed = () => {
    for (const loop of loops) loop.wake();
  };
  const { images, servicesOf } = await createRecipeImages({ home, engine, metrics, clock, log, signal, changed });
  const ports = createListenPorts(store, installation.id);
  const sshIdentity = await ensureSshIdentity(privateKeys);
  const worker = createWorkerLink({
    log,
    onQuestion: () => {
      control.fileServer.need();
    },
  });
  const control = assembleControl({
    ...(capabilities.real ? { shareFiles: worker.files } : {}),
    store,
    secrets,
    engine,
    images,
    surroundings,
    subscription: {
      subscriptionId: installation.subscriptionId,
      tenantId: installation.tenantId,
      displayName: 'Poolhouse',
    },
    addresses: [...config.publicAddresses, ...loopbackAddresses],
    ports,
    doorFolders: { folder: home.doors, shortcut: run.doors },
    fetch: fetchDocument,
    hashPassword,
    publish: (table) => {
      link.publish(withSettings(table));
    },
    redirect: async (redirects, redirectSignal) => {
      // A simulated pool has nothing to lead to; without root the kernel's rules cannot be set.
      if (!capabilities.real) return;
      await applyRedirects(
        renderRedirects({ installation: installation.id, ...redirects, bridge: `ph${installation.id}` }),
        redirectSignal,
      );
    },
    servicesOf,
    sshIdentity,
    web: await createWebFront({
      folder: home.certificates,
      keys: privateKeys,
      ...(config.tlsCertificateFile !== undefined && config.tlsKeyFile !== undefined
        ? { own: { certificateFile: config.tlsCertificateFile, keyFile: config.tlsKeyFile } }
        : {}),
      clock,
      log,
    }),
    waysIn: {
      ...{ smb: config.smb, nfs: config.nfs, publicAddress: waysInAddress },
      isOutside: waysInAddress !== undefined && config.publicAddresses.includes(waysInAddress),
    },
    userAuthorities: config.userAuthorities,
    hostCertificates: createHostCertificates(config.hostCertificateFiles, log),
    publishDirectory: (directory) => {
      link.publishDirectory(directory);
    },
    publishOrders: (orders) => {
      link.publishOrders(orders);
    },
    isRestoring: () => existsSync(home.restoring),
    presences: capabilities.real
      ? createPresenceReader({ store, installation: installation.id, clock })
      : nobodyIsFound,
    notify: notifications.notify,
    alert: notifications.alert,
    observer: metrics,
    clock,
    log,
    newId: randomUUID,
    changed,
  });
  const { service, identity, world, doors } = control;
  const withSettings = (table: RoutingTable): RoutingTable => ({
    ...table,
    settings: {
      logLevel: config.logLevel,
      leaveHours: config.leaveHours,
      gateways: config.gateways,
      ...(installation.metricsPorts === undefined ? {} : { metricsPort: installation.metricsPorts.gateway }),
    },
  });
  const link = createLinkServer({
    socketPath: run.linkSocket,
    currentTable: () => {
      const table = control.frontEnds.table();
      return table === undefined ? undefined : withSettings(table);
    },
    currentDirectory: control.directory,
    currentOrders: () => control.orders.list(),
    place: control.place,
    answerSelf: control.answerSelf,
    keep: control.keep,
    keepEnded: control.keepEndedSignIns,
    onReport: async (report) => {
      for (const failure of report.failures) {
        log.warn({ route: failure.route }, `the gateway could not open a port: ${failure.message}`);
        await ports.giveUp(failure.route);
      }
      if (control.reports.take(report, clock.now()) || report.failures.length > 0) changed();
    },
    onError: (error) => {
      log.error({ err: error }, 'a request of the gateway failed');
    },
    ...(values.group === undefined ? {} : { socketGroup: await groupId(values.group) }),
  });

  for (const instance of await findInstances(store.db)) if (capabilities.real) await doors.open(instance.name);
  if (capabilities.real) {
    await doors.open(fileServerName);
    await worker.listen(`${run.doors}/${fileServerName}/share-files.sock`);
  }
  for (const loop of control.loops) loops.push(runLoop({ ...watch.watch(loop), clock, log, signal }));
  await link.listen();

  const arm = createArmServer({
    service,
    identity,
    insights: control.insights,
    shares: control.shares,
    tokens: createTokens(
      () => secrets.tokenKeys(),
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
    onEnd: (request) => {
      metrics.requestEnded(request);
    },
  });
  await arm.listen({ host: '127.0.0.1', port: installation.apiPort }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw new PoolhouseError(
      'HostNotReady',
      `Something else has begun to listen on 127.0.0.1:${installation.apiPort}. 'poolhouse up' chooses another port.`,
      { cause: error },
    );
  });
  const filesApi =
    filesUrl === undefined
      ? undefined
      : createFilesApi({
          ...{ world, shares: control.shares, url: filesUrl, isRestoring: () => existsSync(home.restoring) },
          tls: { key: certificates.keyPem, cert: certificates.certificatePem },
        });
  if (filesApi !== undefined) await listenForFiles(filesApi, installation.filesPort, log);
  const admin = await startAdminServer({
    socketPath: run.adminSocket,
    status: async () =>
      statusDocument(world, installation, await monitor.health(), {
        fullness: control.fullness(),
        fileServer: await control.fileServer.status(),
      }),
    journal: (name, lines, level, asked) => readJournal(world, name, lines, level, asked),
    hostKeys: () => publicHostKeys(sshIdentity),
    sessions: createSessionDesk(world, control.orders),
    drain: createOperatorDrain(world),
    shares: control.shareDesk,
    giveUpMount: createGiveUpMount(world),
    costs: (query) => readCosts(world, config, query),
    why: (name) => whyInstance(world, control.placements, name),
    workspaces: (query, asked) => workspaceUsage(world, query, asked),
    poolHistory: (pool) => poolHistory(store, pool),
    clientSecret: () => Promise.resolve(clientSecret),
    shareBackup: control.shareBackup,
    changeMasterKey: async (key, path) => {
      await changeMasterKey(key, path);
      log.info('every secret is sealed with a new key');
    },
    onError: (error) => {
      log.error({ err: error }, 'a question of the command line could not be answered');
    },
  });
  const renewal = runLoop({
    ...watch.watch(
      renewCertificate({
        present: () => certificates,
        request: certificateRequest,
        servers: [arm.server, ...(filesApi === undefined ? [] : [filesApi])],
        renewed: (newer) => {
          certificates = newer;
        },
        clock,
        log,
      }),
    ),
    clock,
    log,
    signal,
  });
  monitor.serves({
    world,
    placements: control.placements,
    shares: control.fullness,
    apiListens: () => arm.server.listening,
    certificates: () => certificates,
    trouble: () =>
      existsSync(home.restoring)
        ? `A backup is being restored: until 'poolhouse restore' has ended no instance is started.`
        : control.fileServer.trouble(),
  });
  const refusals = runLoop({
    name: 'refused packets',
    pass: createRefusedPackets({
      read: async (readSignal) => (capabilities.real ? readRefused(installation.id, readSignal) : new Map()),
      names: async () =>
        new Map(
          [...(await findInstances(store.db)), ...world.live.engineInstances().filter(isService)].map(
            ({ address, name }) => [address, name],
          ),
        ),
      log,
    }),
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
  monitor.stops();
  stopping.abort(new Error('control stops'));
  const late = setTimeout(() => process.exit(1), stopLimit);
  await admin.close();
  await arm.close();
  filesApi?.closeAllConnections();
  filesApi?.close();
  await link.close();
  await Promise.all([...loops, ...ownLoops, renewal, refusals].map((one) => one.stopped));
  await Promise.all([control.idle(), images.idle(), notifications.idle()]);
  await worker.close();
  await doors.closeAll();
  await monitor.close();
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
  void endFailed(1);
});
