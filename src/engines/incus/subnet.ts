/** Chooses a network that overlaps with nothing that the host can reach. Pure. */
export interface Subnet {
  subnet: string;
  gateway: string;
}

const instanceBits = 22;

/**
 * The first /22 of the range that overlaps none of the routes (CIDRs; 'default' and IPv6 are passed over), beginning
 * at a place that depends on the installation, so that two of them seldom ask for the same. Undefined where none is left.
 */
export function chooseSubnet(range: string, routes: readonly string[], installation: string): Subnet | undefined {
  const whole = parse(range);
  if (whole === undefined || whole.bits > instanceBits) return undefined;
  const taken = routes
    .flatMap((route) => parse(route.includes('/') ? route : `${route}/32`) ?? [])
    .filter((route) => route.bits > 0);
  const count = 2 ** (instanceBits - whole.bits);
  const start = Number.parseInt(installation.slice(0, 6), 16) % count;
  for (let step = 0; step < count; step += 1) {
    const base = whole.start + ((start + step) % count) * 2 ** (32 - instanceBits);
    const size = 2 ** (32 - instanceBits);
    const overlaps = taken.some((route) => route.start < base + size && base < route.start + 2 ** (32 - route.bits));
    if (!overlaps) return { subnet: `${format(base)}/${instanceBits}`, gateway: format(base + 1) };
  }
  return undefined;
}

function parse(cidr: string): { start: number; bits: number } | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(cidr);
  if (match === null) return undefined;
  const parts = match.slice(1, 5).map(Number);
  const bits = Number(match[5]);
  if (bits > 32 || parts.some((part) => part > 255)) return undefined;
  const address = parts.reduce((sum, part) => sum * 256 + part, 0);
  const size = 2 ** (32 - bits);
  return { start: Math.floor(address / size) * size, bits };
}

function format(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join('.');
}
