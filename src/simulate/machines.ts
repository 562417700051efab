/**
 * The instances of a replay: the steps of the plan carried out on a simulated engine, as control's own executors do it, without a
 * store and without anything inside the instances.
 */
import { PoolhouseError } from '../core/errors.ts';
import type { Clock, EpochMillis } from '../core/time.ts';
import type { Engine } from '../engines/engine.ts';
import { newInstanceState, type InstanceState } from '../pool/instance-state.ts';
import type { Power } from '../pool/power.ts';
import type { Executors, Step } from '../pool/steps.ts';

export interface Machine {
  instanceId: number;
  name: string;
  state: InstanceState;
  /** What the engine had when it was looked at last. */
  power: Power | 'absent';
  /** A step of it is under way. */
  busy: boolean;
}

/** The digest of what the one model there is wants to have rendered. */
export const preparation = 'simulated';

export interface Machines {
  all(): readonly Machine[];
  /** Reads from the engine what runs. */
  look(signal: AbortSignal): Promise<void>;
  /** Begins a step, or carries it out where it only writes something down. */
  carryOut(step: Step, signal: AbortSignal): void;
}

export interface MachinesOptions {
  clock: Clock;
  engine: Engine;
  /** An instance drains from now on, or is about to go, whoever is there. */
  onDraining: (name: string) => void;
  onRemoval: (name: string) => void;
  /** A step has ended. */
  onChange: () => void;
  onError: (error: unknown) => void;
}

export function createMachines({ clock, engine, ...on }: MachinesOptions): Machines {
  const machines = new Map<number, Machine>();
  let lastId = -1;
  /** Something has changed in the engine since it was looked at. */
  let isStale = true;

  function find(instanceId: number): Machine {
    const machine = machines.get(instanceId);
    if (machine === undefined)
      throw new PoolhouseError('InstanceNotFound', `There is no instance ${String(instanceId)}.`);
    return machine;
  }

  const change = (instanceId: number, how: (state: InstanceState, now: EpochMillis) => InstanceState): void => {
    const machine = find(instanceId);
    machine.state = how(machine.state, clock.now());
  };

  const executors: Executors = {
    prepareImage: async () => undefined, // a simulated engine has every image
    async allocate({ count, standby }) {
      for (let made = 0; made < count; made += 1) {
        lastId += 1;
        const waits = standby === undefined ? {} : { standby: { since: clock.now(), as: standby } };
        machines.set(lastId, {
          instanceId: lastId,
          name: `replay-${String(lastId).padStart(6, '0')}`,
          state: { ...newInstanceState(), ...waits },
          power: 'absent',
          busy: false,
        });
      }
      await Promise.resolve();
    },
    async create({ instanceId }, signal) {
      const { name } = find(instanceId);
      await engine.create(
        {
          ...{ name, hostname: name, image: { fingerprint: '00' }, cpus: 1, memoryBytes: 1, address: '10.255.0.2' },
          labels: { 'instance-id': String(instanceId) },
        },
        signal,
      );
      change(instanceId, (state) => ({ ...state, created: true }));
    },
    async setPower({ instanceId, power }, signal) {
      await engine.setPower(find(instanceId).name, power, signal);
    },
    async join({ instanceId }, signal) {
      change(instanceId, ({ standby: _standby, ...state }) => ({ ...state, power: 'running' }));
      const { name, power } = find(instanceId);
      if (power !== 'absent') await engine.setPower(name, 'running', signal);
    },
    async provision({ instanceId }) {
      change(instanceId, (state, now) => ({ ...state, provisioned: preparation, provisionedAt: now }));
      await Promise.resolve();
    },
    runExtension: async () => undefined, // the model has none
    async drain({ instanceId, until, by }) {
      change(instanceId, ({ rescuedAt: _rescued, ...state }, since) => ({
        ...state,
        draining: { since, by, ...(until === undefined ? {} : { until }) },
      }));
      on.onDraining(find(instanceId).name);
      await Promise.resolve();
    },
    async undrain({ instanceId }) {
      change(instanceId, ({ draining: _draining, rescuedAt: _rescued, ...state }) => state);
      await Promise.resolve();
    },
    async restart({ instanceId }, signal) {
      const { name } = find(instanceId);
      await engine.setPower(name, 'stopped', signal);
      await engine.setPower(name, 'running', signal);
    },
    upgrade: async () => undefined, // nor is there another model
    async rescue({ instanceId }) {
      change(instanceId, (state, rescuedAt) => ({ ...state, rescuedAt }));
      await Promise.resolve();
    },
    remake: async () => undefined,
    evict: async () => undefined, // nobody else is there to need the memory
    async remove({ instanceId, reason }, signal) {
      change(instanceId, (state, since) => ({ ...state, removal: { since, reason } }));
      const { name } = find(instanceId);
      on.onRemoval(name);
      await engine.delete(name, signal);
      machines.delete(instanceId);
    },
  };

  function begin(step: Step, signal: AbortSignal): Promise<void> {
    // The executor of a step takes the arguments of that step: the compiler does not follow the name through the union.
    const execute = executors[step.step] as (step: Step, signal: AbortSignal) => Promise<void>;
    return execute(step, signal);
  }

  return {
    all: () => [...machines.values()],
    async look(signal) {
      if (!isStale) return;
      isStale = false;
      const found = new Map((await engine.list(signal)).map(({ name, power }) => [name, power]));
      for (const machine of machines.values()) machine.power = found.get(machine.name) ?? 'absent';
    },
    carryOut(step, signal) {
      const machine = 'instanceId' in step ? machines.get(step.instanceId) : undefined;
      const isOnlyNoted = step.step === 'drain' || step.step === 'undrain';
      if (machine !== undefined && !isOnlyNoted) machine.busy = true;
      begin(step, signal)
        .catch(on.onError)
        .finally(() => {
          if (machine !== undefined && !isOnlyNoted) machine.busy = false;
          isStale = true;
          on.onChange();
        });
    },
  };
}
