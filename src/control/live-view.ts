/** Control's picture of this moment: power as the engine said last, rotation as computed from routes and probes. */
import type { EngineInstance } from '../engines/engine.ts';
import type { LiveFacts, LiveInstance } from '../providers/live-facts.ts';

export interface LiveView extends LiveFacts {
  /** All instances of the installation, as the engine says. */
  setEngine(instances: readonly EngineInstance[]): void;
  setRotation(rotation: ReadonlyMap<string, { inRotation: boolean; reason: string }>): void;
  engineInstances(): readonly EngineInstance[];
  rotation(name: string): { inRotation: boolean; reason: string };
}

export function createLiveView(): LiveView {
  let instances = new Map<string, EngineInstance>();
  let rotations: ReadonlyMap<string, { inRotation: boolean; reason: string }> = new Map();
  const rotation = (name: string) => rotations.get(name) ?? { inRotation: false, reason: 'not known yet' };
  return {
    setEngine(list) {
      instances = new Map(list.map((instance) => [instance.name, instance]));
    },
    setRotation(next) {
      rotations = next;
    },
    engineInstances: () => [...instances.values()],
    rotation,
    instance(name): LiveInstance | undefined {
      return { power: instances.get(name)?.power ?? 'absent', ...rotation(name) };
    },
  };
}
