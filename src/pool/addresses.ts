/** The addresses that instances may have in a network, lowest first: neither the network's own, nor the host's, nor the broadcast one. */
export function* addressesOf(network: { subnet: string; gateway: string }): Generator<string> {
  const [base = '0.0.0.0', length = '32'] = network.subnet.split('/');
  const size = 2 ** (32 - Number(length));
  const start = Math.floor(toNumber(base) / size) * size;
  for (let offset = 1; offset < size - 1; offset += 1) {
    const address = toAddress(start + offset);
    if (address !== network.gateway) yield address;
  }
}

function toNumber(address: string): number {
  return address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
}

function toAddress(number: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256).join('.');
}
