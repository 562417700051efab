/** Where new instances go in a scale set that has zones: where there are fewest, so that the zones stay balanced. Pure. */
export function spreadOverZones(
  taken: readonly (string | undefined)[],
  zones: readonly string[],
  count: number,
): string[] {
  const sizes = new Map(zones.map((zone) => [zone, taken.filter((one) => one === zone).length]));
  const chosen: string[] = [];
  for (let made = 0; made < count && zones.length > 0; made += 1) {
    const zone = [...sizes.keys()].reduce((fewest, one) =>
      (sizes.get(one) ?? 0) < (sizes.get(fewest) ?? 0) ? one : fewest,
    );
    sizes.set(zone, (sizes.get(zone) ?? 0) + 1);
    chosen.push(zone);
  }
  return chosen;
}
