/** Puts resources in an order: what they say they depend on, and what they speak of as long as that closes no circle. */
import { templateError } from './template-error.ts';

export interface Orderable {
  key: string;
  name: string;
  explicit: readonly string[];
  implied: readonly string[];
}

/** The dependencies of each, by key. A circle of explicit ones is an error; an implied one that would close a circle is dropped. */
export function orderResources(resources: readonly Orderable[]): Map<string, string[]> {
  const edges = new Map(resources.map((resource) => [resource.key, [...resource.explicit]]));
  const leadsTo = (from: string, to: string): boolean => {
    const seen = new Set<string>();
    const open = [from];
    for (let key = open.pop(); key !== undefined; key = open.pop()) {
      if (key === to) return true;
      if (seen.has(key)) continue;
      seen.add(key);
      open.push(...(edges.get(key) ?? []));
    }
    return false;
  };
  for (const { key, name, explicit } of resources) {
    const closing = explicit.find((other) => leadsTo(other, key));
    if (closing !== undefined) {
      throw templateError(
        `Circular dependency detected on resource: '${key}'. It depends on '${closing}', which depends on '${name}'. Please see https://aka.ms/arm-syntax-resources for usage details.`,
      );
    }
  }
  for (const { key, implied } of resources) {
    for (const other of implied) {
      const own = edges.get(key) ?? [];
      if (!own.includes(other) && !leadsTo(other, key)) edges.set(key, [...own, other]);
    }
  }
  return edges;
}
