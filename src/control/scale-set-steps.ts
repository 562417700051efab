/** One executor for each step of the plan. They make no choices; each can be repeated. */
import { createHash } from 'node:crypto';
import type { Transaction } from 'kysely';
import { PoolhouseError } from '../core/errors.ts';
import { keyOf, type ResourceKey } from '../core/resource-id.ts';
import type { Executors, StepArguments, StepName } from '../pool/steps.ts';
import { poolAccounts } from '../identity/render-accounts.ts';
import { addressesOf } from '../pool/addresses.ts';
import type { Adoption } from '../pool/claim.ts';
import { readLoadBalancer } from '../providers/network/load-balancer-model.ts';
import { readPoolTags } from '../providers/compute/pool-tags.ts';
import { isApplicationHealth, readScaleSet } from '../providers/compute/scale-set-model.ts';
import { modelVersion } from '../providers/compute/model-version.ts';
import { sizeOf } from '../providers/compute/sizes.ts';
import { readPeople } from '../providers/identity/people.ts';
import { poolNameOf } from '../providers/identity/pool-names.ts';
import { objectAt } from '../providers/read-body.ts';
import type { Surroundings, TypeContext } from '../providers/resource-type.ts';
import {
  adoptInstance,
  allocateInstances,
  findInstance,
  findModel,
  saveModel,
  updateInstanceState,
  type InstanceRecord,
} from '../store/instance-records.ts';
import { findResource, nameOf, type ResourceRecord } from '../store/resource-records.ts';
import type { Tables } from '../store/schema.ts';
import type { CustomScripts, ScriptEnd } from './custom-scripts.ts';
import type { ImageKeeper } from './image-keeper.ts';
import type { InstanceDoors } from './instance-doors.ts';
import { instanceAccounts } from './instance-users.ts';
import { lifeSteps } from './life-steps.ts';
import { readModel, type InstanceModel } from './instance-model.ts';
import { peopleDigest, provisionDocument, type InstanceTrust } from './provision-document.ts';
import { prepareAllWorkspaces } from './workspaces.ts';
import type { World } from './world.ts';

type InstanceStepName = Exclude<StepName, 'prepareImage' | 'allocate'>;
export type InstanceStep = { [K in InstanceStepName]: { step: K } & StepArguments[K] }[InstanceStepName];

export interface ScaleSetSteps {
  imageOf(record: ResourceRecord): string;
  allocate(record: ResourceRecord, step: StepArguments['allocate']): Promise<void>;
  /** Writes an instance down that the engine has and the store does not know. */
  adopt(record: ResourceRecord, adoption: Adoption): Promise<void>;
  execute(key: ResourceKey, step: InstanceStep, signal: AbortSignal): Promise<void>;
  typeContext(tx: Transaction<Tables>): TypeContext;
}

export interface ScaleSetStepParts {
  world: World;
  surroundings: Surroundings;
  images: ImageKeeper;
  doors: InstanceDoors;
  scripts: CustomScripts;
  /** What instances take for a sign-in of the gateway. */
  trust: Omit<InstanceTrust, 'signIn'>;
  hashPassword(password: string, signal: AbortSignal): Promise<string>;
}

export function createScaleSetSteps(parts: ScaleSetStepParts): ScaleSetSteps {
  const { world, surroundings, images, doors, scripts } = parts;
  const { store, engine, clock } = world;

  async function subject(
    key: ResourceKey,
    instanceId: number,
  ): Promise<{ instance: InstanceRecord; model: InstanceModel; set: ResourceRecord }> {
    const instance = await findInstance(store.db, key, instanceId);
    const set = await findResource(store.db, key);
    const model = instance === undefined ? undefined : await readModel(world, key, instance.modelVersion);
    if (instance === undefined || set === undefined || model === undefined) {
      throw new PoolhouseError(
        'InstanceNotFound',
        `The instance ${instanceId} of ${key} is not in the store any more.`,
      );
    }
    return { instance, model, set };
  }

  const change = (
    instance: InstanceRecord,
    how: Parameters<typeof updateInstanceState>[2],
    also: (tx: Transaction<Tables>) => Promise<void> = async () => undefined,
  ) =>
    store.transaction(async (tx) => {
      await updateInstanceState(tx, instance, how);
      await also(tx);
    });

  const executorsFor = (key: ResourceKey): Pick<Executors, InstanceStepName> => ({
    async create({ instanceId }, signal) {
      const { instance, model, set } = await subject(key, instanceId);
      const size = sizeOf(model.sizeName);
      const controlFolder = engine.capabilities().real ? await doors.open(instance.name) : undefined;
      await engine.create(
        {
          name: instance.name,
          hostname: instance.hostname,
          image: images.reference(surroundings.recipeOf(model.profile.image)),
          cpus: size.cpus,
          memoryBytes: Math.round(size.memoryGiB * 2 ** 30),
          address: instance.address,
          labels: {
            'scale-set': set.id,
            'instance-id': String(instanceId),
            'model-version': model.version,
            ...(instance.state.zone === undefined ? {} : { zone: instance.state.zone }),
          },
          ...(controlFolder === undefined ? {} : { controlFolder }),
        },
        signal,
      );
      await change(instance, (before) => {
        const { provisioned: _provisioned, provisionedAt: _at, people: _people, ...state } = before;
        const { mounts: _mounts, visitors: _visitors, ...asNew } = state;
        return { ...asNew, created: true, extensions: {} };
      });
    },
    async setPower({ instanceId, power }, signal) {
      const { instance } = await subject(key, instanceId);
      if (engine.capabilities().real) await doors.open(instance.name);
      await engine.setPower(instance.name, power, signal);
    },
    async provision({ instanceId }, signal) {
      const { instance, model, set } = await subject(key, instanceId);
      const { users, groups } = await readPeople(store.db);
      const accounts = poolAccounts(users, groups, poolNameOf(key));
      const tags = readPoolTags(set.document);
      const { signIn, survives } = tags;
      const shown = world.live.engineInstances().find(({ name }) => name === instance.name);
      const digest = peopleDigest(accounts, tags)(shown?.attachments ?? []);
      let hostKeys: string[] | undefined;
      if (engine.capabilities().real) {
        const document = await provisionDocument(
          world,
          instance,
          model,
          accounts,
          { ...parts.trust, signIn },
          (password) => parts.hashPassword(password, signal),
        );
        const result = await engine.exec(
          instance.name,
          ['/usr/lib/poolhouse/provision'],
          { stdin: JSON.stringify({ ...document, survives }), timeoutMs: 60_000 },
          signal,
        );
        if (result.exitCode !== 0) {
          throw new PoolhouseError(
            'Unavailable',
            `The accounts of instance ${instanceId} could not be prepared (exit code ${result.exitCode}). It will be tried again.`,
            { cause: new Error(result.stderr.slice(-2_000)), retryable: true },
          );
        }
        hostKeys = await readHostKeys(instance, signal);
        if (accounts.people.length > 0) await prepareAllWorkspaces(world, instance, signal);
      }
      const at = clock.now();
      await change(instance, ({ people: _people, provisionedAt, ...state }) => ({
        ...state,
        // Of people alone: it has been prepared since then.
        provisionedAt: state.provisioned === model.provisionDigest ? (provisionedAt ?? at) : at,
        provisioned: model.provisionDigest,
        ...(digest === '' ? {} : { people: digest }),
        ...(hostKeys === undefined ? {} : { hostKeys }),
      }));
    },
    async runExtension({ instanceId, extension: name }, signal) {
      const { instance, model, set } = await subject(key, instanceId);
      const extension = model.profile.extensions.find((one) => one.name === name);
      const version = model.extensions.find((one) => one.name === name)?.version;
      if (extension === undefined || version === undefined) return;
      const interrupted = instance.state.extensions[name];
      const startedAt = clock.now();
      const begun = { version, startedAt, generation: set.generation };
      await change(instance, (state) => ({
        ...state,
        extensions: { ...state.extensions, [name]: { ...begun, status: 'running', message: '' } },
      }));
      const run = async (): Promise<ScriptEnd> => {
        signal.throwIfAborted();
        if (isApplicationHealth(extension))
          return { status: 'succeeded', exitCode: 0, message: 'its probe is the gateway’s: nothing runs inside' };
        if (!engine.capabilities().real)
          return { status: 'succeeded', exitCode: 0, message: 'simulated: nothing was run' };
        return scripts.run({
          instance,
          scaleSetKey: set.key,
          extension,
          runId: String(startedAt),
          // The process was ended while it ran: what is left of it must not run beside its second try.
          ...(interrupted?.status === 'running' ? { interruptedRunId: String(interrupted.startedAt) } : {}),
          limitMs: readPoolTags(set.document).scriptMilliseconds,
          signal,
        });
      };
      const ended = await run().catch((error: unknown): ScriptEnd => {
        const reason: unknown = signal.reason;
        if (!(reason instanceof PoolhouseError) || reason.code !== 'Canceled') throw error;
        return { status: 'failed', message: `Enable failed: ${reason.message}` };
      });
      // The script has run, whatever becomes of this: it must not run again for it.
      await showLinked(instance, signal).catch((error: unknown) => {
        world.log.warn(
          { err: error, instance: instance.name },
          'what a script has linked could not be linked for people',
        );
      });
      const endedAt = clock.now();
      await change(instance, (state) => ({
        ...state,
        extensions: { ...state.extensions, [name]: { ...begun, ...ended, endedAt } },
      }));
    },
    ...lifeSteps(key, { world, doors, subject, change, latestModel }),
  });

  /** What its script has linked for the admin user since it mounted a share is linked for people too. */
  async function showLinked(instance: InstanceRecord, signal: AbortSignal): Promise<void> {
    const accounts = await instanceAccounts(world, instance);
    if (!engine.capabilities().real || !accounts.users.some(({ person }) => person)) return;
    const found = (await engine.list(signal)).find(({ name }) => name === instance.name);
    await prepareAllWorkspaces(world, instance, signal, found?.attachments);
  }

  /**
   * As the engine lets us read them: what answers at the instance's address later has to show one of these. The instance
   * makes them at its first start, which may not be over; the ECDSA key comes last.
   */
  async function readHostKeys(instance: InstanceRecord, signal: AbortSignal): Promise<string[]> {
    const untilMade =
      'n=0; until [ -s /etc/ssh/ssh_host_ecdsa_key.pub ] || [ $n = 150 ]; do n=$((n+1)); sleep 0.1; done';
    const command = `${untilMade}; cat /etc/ssh/ssh_host_*_key.pub`;
    const { stdout } = await engine.exec(instance.name, ['sh', '-c', command], { timeoutMs: 30_000 }, signal);
    const keys = stdout
      .split('\n')
      .flatMap((line) => /^((?:ssh|ecdsa)-\S{1,40} [A-Za-z0-9+/=]{1,4000})( |$)/.exec(line)?.[1] ?? []);
    if (keys.length === 0)
      throw new PoolhouseError(
        'Unavailable',
        `The instance ${instance.instanceId} has no ssh host keys yet. It will be looked at again.`,
        { retryable: true },
      );
    return keys;
  }

  return {
    imageOf: (record) => surroundings.recipeOf(readScaleSet(record.document).profile.image),

    async allocate(record, { count, standby }) {
      const asked = readScaleSet(record.document);
      await store.transaction(async (tx) => {
        // What nobody has claimed yet has its address all the same.
        const inUse = new Set(world.live.engineInstances().map((instance) => instance.address));
        await allocateInstances(tx, {
          scaleSetKey: record.key,
          count,
          modelVersion: await latestModel(tx, record),
          hostnamePrefix: asked.profile.hostnamePrefix,
          nameStem: nameStem(record),
          addresses: addressesOf(engine.network()),
          taken: inUse,
          zones: asked.zones,
          standby,
          natPools: await natPoolsOf(tx, asked.profile.natPoolIds),
          now: clock.now(),
        });
      });
      world.changed();
    },

    async adopt(record, { instanceId, modelVersion: labelled, instance }) {
      const asked = readScaleSet(record.document);
      await store.transaction(async (tx) => {
        const known = await findModel(tx, record.key, labelled);
        await adoptInstance(tx, {
          scaleSetKey: record.key,
          instanceId,
          name: instance.name,
          hostname: instance.hostname,
          address: instance.address,
          // Of a model that came after the copy nothing is known: it is brought to the present one.
          modelVersion: known === undefined ? await latestModel(tx, record) : labelled,
          createdAt: clock.now(),
          natPools: await natPoolsOf(tx, asked.profile.natPoolIds),
          zone: instance.labels['zone'],
        });
      });
      if (engine.capabilities().real) await doors.open(instance.name);
      world.changed();
    },

    async execute(key, step, signal) {
      const executors = executorsFor(key);
      switch (step.step) {
        case 'create':
          return executors.create(step, signal);
        case 'setPower':
          return executors.setPower(step, signal);
        case 'join':
          return executors.join(step, signal);
        case 'provision':
          return executors.provision(step, signal);
        case 'runExtension':
          return executors.runExtension(step, signal);
        case 'drain':
          return executors.drain(step, signal);
        case 'undrain':
          return executors.undrain(step, signal);
        case 'restart':
          return executors.restart(step, signal);
        case 'upgrade':
          return executors.upgrade(step, signal);
        case 'rescue':
          return executors.rescue(step, signal);
        case 'remake':
          return executors.remake(step, signal);
        case 'evict':
          return executors.evict(step, signal);
        case 'remove':
          return executors.remove(step, signal);
      }
    },

    typeContext: (tx) => ({
      queries: tx,
      secrets: world.secrets,
      surroundings,
      now: clock.now(),
      newId: () => world.newId(),
    }),
  };
}

/** Writes down what new instances of a scale set are made of, and gives its version. */
async function latestModel(tx: Transaction<Tables>, record: ResourceRecord): Promise<string> {
  const version = modelVersion(record.document);
  await saveModel(tx, record.key, {
    version,
    profile: objectAt(record.document, 'properties', 'virtualMachineProfile'),
    sizeName: sizeOf(readScaleSet(record.document).sizeName).name,
  });
  return version;
}

/** The stem of a scale set's names in the engine: readable, and its own even where another group has one of that name. */
export function nameStem(record: ResourceRecord): string {
  const readable =
    nameOf(record.id)
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, '-')
      .replace(/^[^a-z]+|-+$/g, '')
      .slice(0, 24) || 'set';
  const own = createHash('sha256').update(`${record.key} ${record.createdAt}`).digest('hex').slice(0, 6);
  return `${readable}-${own}`;
}

async function natPoolsOf(
  tx: Transaction<Tables>,
  ids: readonly string[],
): Promise<{ key: string; portStart: number; portEnd: number }[]> {
  const pools: { key: string; portStart: number; portEnd: number }[] = [];
  for (const id of ids) {
    const balancer = await findResource(tx, id.replace(/\/inboundNatPools\/.*$/i, ''));
    const pool =
      balancer === undefined
        ? undefined
        : readLoadBalancer(balancer.document).natPools.find(
            (one) => keyOf(`${balancer.id}/inboundNatPools/${one.name}`) === keyOf(id),
          );
    if (pool !== undefined) pools.push({ key: keyOf(id), portStart: pool.portStart, portEnd: pool.portEnd });
  }
  return pools;
}
