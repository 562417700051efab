/**
 * Puts control's inside together: the resource service, and the loops that make what it keeps so. What reaches outside
 * comes in as parts, so that a whole control can be made in a test, killed at any point, and made again.
 */
import type { Logger } from 'pino';
import type { ResourceId } from '../core/resource-id.ts';
import type { Clock } from '../core/time.ts';
import type { Engine } from '../engines/engine.ts';
import { noShareFiles } from '../files/no-share-files.ts';
import type { ShareFiles } from '../files/share-files.ts';
import type { Service } from '../images/recipe.ts';
import type { EndedSignIn } from '../link/ended-sign-ins.ts';
import type { Directory, SelfAnswer, SelfQuestion } from '../link/people.ts';
import type { OrderList } from '../link/orders.ts';
import type { RoutingTable } from '../link/routes.ts';
import { createIdentityService, type IdentityService } from '../providers/identity/identity-service.ts';
import { createInsights, type Insights } from '../providers/insights/insights.ts';
import { allTypes } from '../providers/all-types.ts';
import { createShareService, type ShareService } from '../providers/storage/share-service.ts';
import { createResourceService, type InnerResourceService } from '../providers/create-resource-service.ts';
import { createRegistry, type Surroundings } from '../providers/resource-type.ts';
import type { Subscription } from '../providers/resource-service.ts';
import type { Secrets } from '../secrets/secrets.ts';
import type { Queries, Store } from '../store/store.ts';
import { createAnswerSelf } from './answer-self.ts';
import { createAttachmentLoop } from './attachment-loop.ts';
import { createAutoscaleLoop } from './autoscale-loop.ts';
import type { Presence } from './bindings.ts';
import { createCustomScripts } from './custom-scripts.ts';
import { createDeploymentLoop } from './deployment-loop.ts';
import { createForgetOperations } from './forget-operations.ts';
import { createDirectoryLoop } from './directory-loop.ts';
import { createFileServer, type FileServer, type FileServerParts } from './file-server.ts';
import type { WaysIn } from './file-server-word.ts';
import { createFrontEndLoop, type FrontEndLoopParts, type FrontEnds } from './front-end-loop.ts';
import type { GatewayReports } from './gateway-reports.ts';
import { createGatewayReports } from './gateway-reports.ts';
import type { ImageKeeper } from './image-keeper.ts';
import { createInstanceFolders, type InstanceFolders } from './instance-folders.ts';
import { createInstanceDoors, type InstanceDoors } from './instance-doors.ts';
import { createKeepEndedSignIns } from './keep-ended-sign-ins.ts';
import { createPeopleLoop } from './people-loop.ts';
import { createPlacements, type Placements } from './placements.ts';
import { createLedger } from './ledger.ts';
import { createKeepHere } from './keep-here.ts';
import { createLeases, type Leases } from './leases.ts';
import type { ListenPorts } from './listen-ports.ts';
import { createLiveView } from './live-view.ts';
import type { MetricReader } from './metric-reader.ts';
import { createMetricSeries } from './metric-series.ts';
import type { Notify } from './notification.ts';
import { createMountWatch } from './mount-watch.ts';
import { createMounts } from './mounts.ts';
import { observeMounts } from './observe-mounts.ts';
import { createFullnessLoop, type ShareFullness } from './fullness-loop.ts';
import type { OperatorAlert } from './operator-alert.ts';
import { createRestoreLoop } from './restore-loop.ts';
import { createShareDesk, type ShareDesk } from './share-desk.ts';
import { createSnapshotLoop } from './snapshot-loop.ts';
import { noteSteps } from './note-steps.ts';
import { observeSteps } from './observe-steps.ts';
import { nobodyObserves, type Observer } from './observer.ts';
import { createSessionRecorder } from './record-sessions.ts';
import { createResourceGroupLoop } from './resource-group-loop.ts';
import { createScaleSetLoop } from './scale-set-loop.ts';
import { createScaleSetSteps } from './scale-set-steps.ts';
import { createSessionOrders, type SessionOrders } from './session-orders.ts';
import type { SshIdentity } from './ssh-identity.ts';
import type { WebFront } from './web-front.ts';
import { createSettlePerson, type Place } from './settle-person.ts';
import { createShareBackup, type ShareBackup } from './share-backup.ts';
import { createShareLoop } from './share-loop.ts';
import { createUnclaimed } from './unclaimed.ts';
import { createWorkspaceLoop } from './workspace-loop.ts';
import { createWorkspaceMemory } from './workspace-memory.ts';
import { whenRestored } from './when-restored.ts';
import { whenSeen } from './when-seen.ts';
import type { World } from './world.ts';

export interface ControlParts {
  store: Store;
  secrets: Secrets;
  engine: Engine;
  images: ImageKeeper;
  /** Undefined: there is nobody to work on what shares hold. */
  shareFiles?: ShareFiles;
  surroundings: Surroundings;
  subscription: Subscription;
  /** Public addresses that pools may have, best first. */
  addresses: readonly string[];
  ports: ListenPorts;
  /** Where the instances' sockets are. */
  doorFolders: { folder: string; shortcut: string };
  fetch: (address: string, signal?: AbortSignal) => Promise<Uint8Array>;
  hashPassword: (password: string, signal: AbortSignal) => Promise<string>;
  sshIdentity: SshIdentity;
  web: WebFront;
  /** Public keys whose certificates for users the operator trusts. */
  userAuthorities: readonly string[];
  /** Certificates of our host keys, as they are now. */
  hostCertificates: () => Promise<readonly string[]>;
  publishDirectory: (directory: Directory) => void;
  publishOrders: (orders: OrderList) => void;
  /** Who has something running where. */
  presences: () => Promise<readonly Presence[]>;
  publish: (table: RoutingTable) => void;
  redirect: FrontEndLoopParts['redirect'];
  /** What machines made by a recipe offer, by port. */
  servicesOf: (recipe: string) => Promise<Readonly<Record<string, Service>>>;
  /** A backup is being restored: until that is done no instance is made or started. */
  isRestoring?: () => boolean;
  /** Read in place of what is measured here. */
  metrics?: MetricReader;
  /** The ways into shares that are switched on, and where they begin; undefined: none. */
  waysIn?: WaysIn & Pick<FileServerParts, 'publicAddress' | 'isOutside'>;
  /** Tells whom an autoscale setting names that a capacity has changed. */
  notify?: Notify;
  /** Tells the operator what they should know at once. */
  alert?: (alert: OperatorAlert) => void;
  observer?: Observer;
  clock: Clock;
  log: Logger;
  newId: () => string;
  /** Wakes every loop. */
  changed: () => void;
}

/** One loop: `pass` looks at the world once, and tells after how many milliseconds to look again at the latest. */
export interface NamedPass {
  name: string;
  pass: (signal: AbortSignal) => Promise<number>;
}

export interface Control {
  service: InnerResourceService;
  identity: IdentityService;
  insights: Insights;
  shares: ShareService;
  shareDesk: ShareDesk;
  /** How full they were seen to be. */
  fullness: () => readonly ShareFullness[];
  world: World;
  reports: GatewayReports;
  doors: InstanceDoors;
  frontEnds: FrontEnds;
  fileServer: FileServer;
  placements: Placements;
  /** The answer to who asks for a place: they find what is theirs there. */
  place: Place;
  metrics: MetricReader;
  answerSelf: (question: SelfQuestion) => Promise<SelfAnswer>;
  keep: Leases['keep'];
  keepEndedSignIns: (ended: readonly EndedSignIn[]) => Promise<void>;
  directory: () => Directory | undefined;
  orders: SessionOrders;
  shareBackup: ShareBackup;
  loops: readonly NamedPass[];
  /** Waits until no step is under way. */
  idle(): Promise<void>;
}

export function assembleControl(parts: ControlParts): Control {
  const { store, secrets, engine, images, surroundings, observer = nobodyObserves, clock, log, newId, changed } = parts;
  const isRestoring = parts.isRestoring ?? (() => false);
  const live = createLiveView();
  const reports = createGatewayReports(clock.now());
  const registry = createRegistry(
    allTypes({
      live,
      addresses: { candidates: [...parts.addresses], domain: 'cloudapp.poolhouse.internal' },
      deployments: {
        fetch: (address) => parts.fetch(address),
        subscription: parts.subscription,
        check: (queries, id, body, known, planned) => service.check(queries, id as ResourceId, body, known, planned), // an id made by `formatResourceId`
      },
    }),
  );
  const { subscription } = parts;
  const service = createResourceService({
    store,
    secrets,
    registry,
    subscription,
    surroundings,
    clock,
    newId,
    changed,
  });
  const identity = createIdentityService({
    store,
    secrets,
    fetch: (address) => parts.fetch(address),
    clock,
    log,
    async changed() {
      const told = directory.told();
      changed();
      await told;
    },
  });
  const placements = createPlacements({
    clock,
    onWaiting: changed,
    onEnd: (pool, result, milliseconds) => {
      observer.placementEnded(pool, result, milliseconds);
    },
  });
  const world: World = {
    store,
    engine,
    shareFiles: parts.shareFiles ?? noShareFiles(),
    secrets,
    registry,
    service,
    reports,
    live,
    observer,
    workspaces: createWorkspaceMemory(),
    clock,
    log,
    newId,
    changed,
    get folders() {
      return folders;
    },
  };
  const folders: InstanceFolders = createInstanceFolders(world, placements);
  const typeContext = (queries: Queries) => ({ queries, secrets, surroundings, now: clock.now(), newId });

  const orders = createSessionOrders({ clock, newId, publish: parts.publishOrders });
  const leases = createLeases({ store, clock, placements, log });

  const mounts = observeMounts(createMounts(world), observer);
  const doors = createInstanceDoors({
    ...parts.doorFolders,
    mounts,
    keepHere: createKeepHere(world, leases, placements),
    clock,
    log,
  });
  const scripts = createCustomScripts({ store, secrets, engine, mounts, fetch: parts.fetch, clock, log });
  const plainSteps = createScaleSetSteps({
    world,
    surroundings,
    images,
    doors,
    scripts,
    hashPassword: parts.hashPassword,
    trust: {
      userAuthority: parts.sshIdentity.userAuthorityLine,
      assertionPublicKey: parts.web.assertionPublicKey,
    },
  });
  const steps = noteSteps(observeSteps(plainSteps, observer, clock), { store, clock, newId });
  const scaleSets = createScaleSetLoop(world, steps, images, createUnclaimed(world, steps, doors), placements);
  const mountWatch = createMountWatch(world);
  const attachments = createAttachmentLoop(world, folders, placements);
  const metrics = createMetricSeries({ world, placements });
  const { publicAddress, isOutside, ...ways } = parts.waysIn ?? {
    ...{ smb: false, nfs: [], publicAddress: undefined, isOutside: false },
  };
  const fileServer = createFileServer({ world, images, doors, ways, publicAddress, isOutside });
  const frontEnds = createFrontEndLoop({
    world,
    ports: parts.ports,
    publish: parts.publish,
    redirect: parts.redirect,
    services: () => fileServer.fronts().filter(({ kind }) => kind === 'closed' || !isRestoring()),
    serviceOf: async (set, port) => (await parts.servicesOf(steps.imageOf(set)))[String(port)],
  });
  const directory = createDirectoryLoop(
    world,
    {
      ssh: parts.sshIdentity,
      web: parts.web,
      userAuthorities: parts.userAuthorities,
      hostCertificates: parts.hostCertificates,
    },
    parts.publishDirectory,
  );
  const fullness = createFullnessLoop(world, { orders, alert: parts.alert ?? (() => undefined) });
  const restores = createRestoreLoop(world);
  const shareBackup = createShareBackup(world, isRestoring);
  return {
    service,
    identity,
    shareBackup,
    insights: createInsights({ store, service, series: metrics, now: () => clock.now() }),
    shares: createShareService({ store, service, engine, clock }),
    shareDesk: createShareDesk(world),
    fullness: () => fullness.shares(),
    orders,
    world,
    reports,
    doors,
    frontEnds,
    fileServer,
    placements,
    place: createSettlePerson(world, folders, (question, signal) => placements.answer(question, signal)),
    metrics,
    keep: leases.keep,
    answerSelf: createAnswerSelf({ store, secrets, users: identity.users }),
    keepEndedSignIns: createKeepEndedSignIns({ store, clock, changed }),
    directory: directory.directory,
    loops: [
      { name: 'scale sets', pass: whenRestored(isRestoring, (signal) => scaleSets.pass(signal)) },
      {
        name: 'front ends',
        pass: whenSeen(
          () => live.isSeen() || isRestoring(),
          clock,
          (signal) => frontEnds.pass(signal),
        ),
      },
      { name: 'directory', pass: () => directory.pass() },
      { name: 'people', pass: createPeopleLoop({ world, placements, orders, leases, presences: parts.presences }) },
      {
        name: 'autoscale',
        pass: createAutoscaleLoop({
          world,
          placements,
          metrics: parts.metrics ?? metrics,
          notify: parts.notify ?? (() => undefined),
        }),
      },
      { name: 'file server', pass: (signal) => fileServer.pass(signal) },
      { name: 'shares', pass: createShareLoop(world, typeContext) },
      { name: 'snapshots', pass: whenRestored(isRestoring, createSnapshotLoop(world)) },
      { name: 'fullness', pass: (signal) => fullness.pass(signal) },
      { name: 'restores', pass: whenRestored(isRestoring, (signal) => restores.pass(signal)) },
      { name: 'attachments', pass: (signal) => attachments.pass(signal) },
      { name: 'workspaces', pass: createWorkspaceLoop(world) },
      { name: 'mounts', pass: (signal) => mountWatch.pass(signal) },
      { name: 'backups', pass: (signal) => shareBackup.sweep(signal) },
      { name: 'resource groups', pass: createResourceGroupLoop(world, typeContext) },
      { name: 'deployments', pass: createDeploymentLoop(world) },
      { name: 'operations', pass: createForgetOperations(world) },
      { name: 'metrics', pass: (signal) => metrics.pass(signal) },
      { name: 'ledger', pass: createLedger({ world, placements }) },
      { name: 'session history', pass: createSessionRecorder(world) },
    ],
    idle: async () => {
      await Promise.all([scaleSets.idle(), restores.idle(), attachments.idle()]);
    },
  };
}
