/**
 * The few shapes that SSH writes everything with (RFC 4251, section 5). The reader is for bytes of strangers: what does
 * not fit is refused, and nothing is read or allocated beyond what there is.
 */
import { PoolhouseError } from '../../core/errors.ts';

/** How everything that a stranger showed us is turned down: the message is for the log and harmless to show. */
export function refusal(message: string, cause?: unknown): PoolhouseError {
  return new PoolhouseError('AuthenticationFailed', message, { cause });
}

/** Reads a value after the other; throws a refusal at the first that is not whole. What it gives are views, not copies. */
export class WireReader {
  readonly #bytes: Buffer;
  readonly #what: string;
  #position = 0;

  /** `what` names the whole in refusals: `the certificate`. */
  constructor(bytes: Buffer, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  get position(): number {
    return this.#position;
  }
  get atEnd(): boolean {
    return this.#position === this.#bytes.length;
  }

  uint8(): number {
    return this.#take(1).readUInt8();
  }
  uint32(): number {
    return this.#take(4).readUInt32BE();
  }
  uint64(): bigint {
    return this.#take(8).readBigUInt64BE();
  }
  bytes(): Buffer {
    return this.#take(this.uint32());
  }
  /** UTF-8; bytes that are none are refused, or two names could look the same. */
  text(): string {
    const bytes = this.bytes();
    const text = bytes.toString('utf8');
    if (!Buffer.from(text, 'utf8').equals(bytes)) throw refusal(`A text in ${this.#what} is not UTF-8.`);
    return text;
  }
  /** A positive mpint as its bytes, without leading zeros. */
  integer(): Buffer {
    const bytes = this.bytes();
    if (((bytes[0] ?? 0) & 0x80) !== 0) throw refusal(`A number in ${this.#what} is negative.`);
    const first = bytes.findIndex((byte) => byte !== 0);
    return bytes.subarray(first === -1 ? bytes.length : first);
  }
  /** What is inside a string, to be read on its own. */
  nested(): WireReader {
    return new WireReader(this.bytes(), this.#what);
  }
  end(): void {
    if (!this.atEnd) throw refusal(`After the end of ${this.#what} there is something more.`);
  }

  #take(length: number): Buffer {
    const end = this.#position + length;
    if (end > this.#bytes.length) throw refusal(`${this.#what.replace(/^t/, 'T')} is cut off.`);
    const taken = this.#bytes.subarray(this.#position, end);
    this.#position = end;
    return taken;
  }
}

export function wireUint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

export function wireUint64(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(value);
  return bytes;
}

/** A string: its length and its bytes (several parts are one string). */
export function wireString(...parts: readonly (string | Buffer)[]): Buffer {
  const bytes = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part, 'utf8') : part)));
  return Buffer.concat([wireUint32(bytes.length), bytes]);
}

/** A positive mpint from its bytes. */
export function wireInteger(bytes: Buffer): Buffer {
  const first = bytes.findIndex((byte) => byte !== 0);
  const digits = bytes.subarray(first === -1 ? bytes.length : first);
  return ((digits[0] ?? 0) & 0x80) === 0 ? wireString(digits) : wireString(Buffer.of(0), digits);
}
