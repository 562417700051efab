/**
 * `uniqueString`: 13 characters that follow from the arguments: MurmurHash64A (seed 0) of the arguments joined with
 * `-`, its bytes from the lowest on, in base 32 (RFC 4648, lower case).
 */
const multiplier = 0xc6a4_a793_5bd1_e995n;
const word = (1n << 64n) - 1n;

export function uniqueString(parts: readonly string[]): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(murmurHash64A(Buffer.from(parts.join('-'), 'utf8')));
  return base32(bytes);
}

function murmurHash64A(data: Buffer): bigint {
  let hash = (BigInt(data.length) * multiplier) & word;
  let at = 0;
  for (; at + 8 <= data.length; at += 8) {
    let block = (data.readBigUInt64LE(at) * multiplier) & word;
    block ^= block >> 47n;
    hash = ((hash ^ ((block * multiplier) & word)) * multiplier) & word;
  }
  if (at < data.length) {
    let tail = 0n;
    for (let index = data.length - 1; index >= at; index -= 1) tail = (tail << 8n) | BigInt(data[index] ?? 0);
    hash = ((hash ^ tail) * multiplier) & word;
  }
  hash ^= hash >> 47n;
  hash = (hash * multiplier) & word;
  return hash ^ (hash >> 47n);
}

const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';

function base32(bytes: Buffer): string {
  let result = '';
  let value = 0;
  let bits = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      result += alphabet[(value >>> bits) & 31] ?? '';
    }
    value &= (1 << bits) - 1;
  }
  return bits === 0 ? result : result + (alphabet[(value << (5 - bits)) & 31] ?? '');
}
