/** Control's picture of this moment: power as the engine said last, rotation as computed from routes and probes. */
import type { EngineInstance } from '../engines/engine.ts';
import type { HeldBack, Rotation } from '../pool/routing-table.ts';
import type { LiveFacts, LiveInstance } from '../providers/live-facts.ts';

export interface LiveView extends LiveFacts {
  /** All instances of the installation, as the engine says. */
  setEngine(instances: readonly EngineInstance[]): void;
  /** Whether the engine has said it at least once. */
  isSeen(): boolean;
  setRotation(rotation: ReadonlyMap<string, Rotation>): void;
  /** The instances that somebody works on. */
  setActive(names: ReadonlySet<string>): void;
  /** The instances whose mounts are bad. */
  setMounts(held: ReadonlyMap<string, HeldBack>): void;
  engineInstances(): readonly EngineInstance[];
  mounts(name: string): HeldBack | undefined;
  rotation(name: string): Rotation;
}

export function createLiveView(): LiveView {
  let instances = new Map<string, EngineInstance>();
  let isSeen = false;
  let rotations: ReadonlyMap<string, Rotation> = new Map();
  let active: ReadonlySet<string> = new Set();
  let held: ReadonlyMap<string, HeldBack> = new Map();
  const rotation = (name: string) =>
    rotations.get(name) ?? { inRotation: false, healthy: false, reason: 'not known yet' };
  return {
    setEngine(list) {
      isSeen = true;
      instances = new Map(list.map((instance) => [instance.name, instance]));
    },
    isSeen: () => isSeen,
    setRotation(next) {
      rotations = next;
    },
    setActive(names) {
      active = names;
    },
    setMounts(next) {
      held = next;
    },
    engineInstances: () => [...instances.values()],
    mounts: (name) => held.get(name),
    rotation,
    instance(name): LiveInstance | undefined {
      return {
        power: instances.get(name)?.power ?? 'absent',
        active: active.has(name),
        mounts: held.get(name)?.reason ?? '',
        ...rotation(name),
      };
    },
  };
}
