/** Ethernet frames, byte by byte: what no honest program sends has to be made by hand. */
import { isIPv4 } from 'node:net';

export type Mac = string;
export const everybody: Mac = 'ff:ff:ff:ff:ff:ff';

const macBytes = (mac: Mac) => Buffer.from(mac.replaceAll(':', ''), 'hex');
function addressBytes(address: string): Buffer {
  if (!isIPv4(address)) throw new Error(`${address} is no IPv4 address`);
  return Buffer.from(address.split('.').map(Number));
}
const word = (value: number) => Buffer.from([value >> 8, value & 0xff]);

export function ethernet(to: Mac, from: Mac, type: number, payload: Buffer): Buffer {
  return Buffer.concat([macBytes(to), macBytes(from), word(type), payload]);
}

/** The same frame as one of a VLAN. */
export function tagged(frame: Buffer, vlan: number, type = 0x8100): Buffer {
  return Buffer.concat([frame.subarray(0, 12), word(type), word(vlan), frame.subarray(12)]);
}

export function ipv4(from: string, to: string, protocol: number, payload: Buffer): Buffer {
  const head = Buffer.concat([
    Buffer.from([0x45, 0]),
    word(20 + payload.length),
    Buffer.from([0, 1, 0, 0, 64, protocol, 0, 0]),
    addressBytes(from),
    addressBytes(to),
  ]);
  head.writeUInt16BE(checksum(head), 10);
  return Buffer.concat([head, payload]);
}

/** Without a checksum, which UDP over IPv4 may leave out. */
export function udp(fromPort: number, toPort: number, payload: string): Buffer {
  return Buffer.concat([word(fromPort), word(toPort), word(8 + payload.length), word(0), Buffer.from(payload)]);
}

/** "`address` is at `mac`", said to one or to everybody; `mark` stands behind it, where nobody looks. */
export function arpReply(mac: Mac, address: string, to: { mac: Mac; address: string }, mark: string): Buffer {
  const said = [Buffer.from([0, 1, 8, 0, 6, 4, 0, 2]), macBytes(mac), addressBytes(address)];
  return Buffer.concat([...said, macBytes(to.mac), addressBytes(to.address), Buffer.from(mark)]);
}

/** "I am your router", as IPv6 hears it. */
export function routerAdvertisement(mark: string): Buffer {
  const source = Buffer.from('fe800000000000000000000000000bad', 'hex');
  const all = Buffer.from('ff020000000000000000000000000001', 'hex');
  const text = Buffer.from(mark.padEnd(32, ' '));
  const body = Buffer.concat([Buffer.from([134, 0, 0, 0, 64, 0, 0x07, 0x08, 0, 0, 0, 0, 0, 0, 0, 0]), text]);
  const pseudo = Buffer.concat([source, all, Buffer.from([0, 0, 0, body.length, 0, 0, 0, 58])]);
  body.writeUInt16BE(checksum(Buffer.concat([pseudo, body])), 2);
  return Buffer.concat([Buffer.from([0x60, 0, 0, 0, 0, body.length, 58, 255]), source, all, body]);
}

function checksum(bytes: Buffer): number {
  let total = 0;
  for (let at = 0; at < bytes.length; at += 2) total += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return ~total & 0xffff;
}
