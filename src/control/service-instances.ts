/** Instances of our own, that serve the installation and belong to no pool. The label is the engine's, which nobody inside can change. */
import type { EngineInstance } from '../engines/engine.ts';

export const serviceLabel = 'service';
export const fileServerName = 'fileserver';

export function isService({ labels }: Pick<EngineInstance, 'labels'>): boolean {
  return labels[serviceLabel] !== undefined;
}
