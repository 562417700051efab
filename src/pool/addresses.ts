/** The addresses that instances may have in a network, lowest first: neither the network's own, nor the host's, nor the broadcast one, nor the one before it, which is a service's. */
export function* addressesOf(network: { subnet: string; gateway: string }): Generator<string> {
  const { start, size } = rangeOf(network.subnet);
  for (let offset = 1; offset < size - 2; offset += 1) {
    const address = toAddress(start + offset);
    if (address !== network.gateway) yield address;
  }
}

/**
 * New addresses for instances whose own is not of the network, because that is another one by now, and which are not there: they are made
 * with the new one. As many as the network has addresses for.
 *
 * @param records every instance that is known
 * @param present names of those that there are
 */
export function moveIntoNetwork(
  records: readonly { name: string; address: string }[],
  present: ReadonlySet<string>,
  network: { subnet: string; gateway: string },
): { name: string; address: string }[] {
  const offered = new Set(addressesOf(network));
  const lost = records.filter(({ name, address }) => !offered.has(address) && !present.has(name));
  if (lost.length === 0) return [];
  const taken = new Set(records.map(({ address }) => address));
  const free = [...offered].filter((address) => !taken.has(address));
  return lost.flatMap(({ name }, index) => {
    const address = free[index];
    return address === undefined ? [] : [{ name, address }];
  });
}

/** The highest address of a network, which is no instance's of a pool. */
export function serviceAddress(network: { subnet: string }): string {
  const { start, size } = rangeOf(network.subnet);
  return toAddress(start + size - 2);
}

function rangeOf(subnet: string): { start: number; size: number } {
  const [base = '0.0.0.0', length = '32'] = subnet.split('/');
  const size = 2 ** (32 - Number(length));
  return { start: Math.floor(toNumber(base) / size) * size, size };
}

function toNumber(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

function toAddress(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');
}

export interface AssignedAddress {
  owner: string;
  address: string;
}

/**
 * The public addresses that change hands when the operator has changed which there are. An owner keeps its address,
 * but for two reasons: the address is no longer offered, or it is a loopback one while one of the operator's is free.
 *
 * @param assigned in the order in which they were given: who came first chooses first
 * @param own the operator's addresses, best first
 * @param loopback those that only this machine can reach
 */
export function reassignAddresses(
  assigned: readonly AssignedAddress[],
  own: readonly string[],
  loopback: readonly string[],
): AssignedAddress[] {
  const isOwn = new Set(own);
  const isOffered = new Set([...own, ...loopback]);
  const taken = new Set(assigned.map(({ address }) => address).filter((address) => isOffered.has(address)));
  return assigned.flatMap(({ owner, address }) => {
    if (isOwn.has(address)) return [];
    const candidates = isOffered.has(address) ? own : [...own, ...loopback];
    const better = candidates.find((candidate) => !taken.has(candidate));
    if (better === undefined) return [];
    taken.add(better);
    taken.delete(address);
    return [{ owner, address: better }];
  });
}

/**
 * The address of a service that pools' front ends do not lead to. One of the operator's where there is one, the last that is free, so
 * that pools keep the best; where pools have them all, or there is but one, the service is reached beside them at its own port.
 */
export function chooseServiceAddress(
  taken: ReadonlySet<string>,
  own: readonly string[],
  loopback: readonly string[],
): { address: string; isShared: boolean } | undefined {
  const [first] = own;
  const address = serviceAddresses(own, loopback).find((one) => !taken.has(one));
  if (address !== undefined) return { address, isShared: false };
  return first === undefined ? undefined : { address: first, isShared: true };
}

/** Whether a service may keep an address as its own: pools need the first of the operator's, and loopback is for where there is none. */
export function fitsService(address: string, own: readonly string[], loopback: readonly string[]): boolean {
  return serviceAddresses(own, loopback).includes(address);
}

/** Best first. */
function serviceAddresses(own: readonly string[], loopback: readonly string[]): readonly string[] {
  return own.length === 0 ? loopback : own.slice(1).toReversed();
}
