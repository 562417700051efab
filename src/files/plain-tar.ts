/**
 * The plainest tar: regular files with short names, one after the other, as `tar tf` reads them. What is written here is all
 * that is read here: a link, a device, a name that leads elsewhere or a header of another kind is an error, not a case.
 */
import { collect } from '../core/collect.ts';
import { PoolhouseError } from '../core/errors.ts';

const block = 512;
/** Of one member: what eleven octal digits hold. */
const largest = 8 ** 11 - 1;
const longestName = 255;

export interface TarMember {
  /** Relative, such as `home/config.json`: names between single slashes, none of them '.' or '..'. */
  name: string;
  size: number;
}

export interface ReadMember extends TarMember {
  /** To be read to its end before the next member is asked for; what is not read is passed over. */
  body: AsyncIterable<Buffer>;
}

/** Two blocks of zeros: without them a file was cut off. */
export const tarEnd = Buffer.alloc(2 * block);

/** The zeros that fill the last block of a member. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((block - (size % block)) % block);
}

/** Whether a name may stand in such a tar. Pure. */
export function isPlainName(name: string): boolean {
  return (
    Buffer.byteLength(name) <= longestName &&
    !/[\u0000-\u001f\u007f\\]/.test(name) &&
    name.split('/').every((part) => part !== '' && part !== '.' && part !== '..')
  );
}

/** `InvalidParameter` where the name or the size does not fit. Owner, group and time say nothing: what is restored is the restorer's. */
export function tarHeader({ name, size }: TarMember): Buffer {
  const split = isPlainName(name) ? splitName(name) : undefined;
  if (split === undefined || !Number.isSafeInteger(size) || size < 0 || size > largest)
    throw new PoolhouseError('InvalidParameter', `'${name}' (${size} bytes) does not fit into a backup.`);
  const header = Buffer.alloc(block);
  header.write(split.name, 0, 100);
  const octal = (value: number, at: number, digits: number) =>
    header.write(value.toString(8).padStart(digits, '0'), at);
  octal(0o600, 100, 7);
  octal(0, 108, 7);
  octal(0, 116, 7);
  octal(size, 124, 11);
  octal(0, 136, 11);
  header.write('0', 156);
  header.write('ustar\u000000', 257, 'latin1');
  header.write(split.prefix, 345, 155);
  header.write(`${checksumOf(header).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return header;
}

/** At most 100 bytes behind a slash, and 155 before it. */
function splitName(name: string): { prefix: string; name: string } | undefined {
  if (Buffer.byteLength(name) <= 100) return { prefix: '', name };
  for (let at = name.indexOf('/'); at !== -1; at = name.indexOf('/', at + 1)) {
    const [prefix, rest] = [name.slice(0, at), name.slice(at + 1)];
    if (Buffer.byteLength(rest) <= 100) return Buffer.byteLength(prefix) <= 155 ? { prefix, name: rest } : undefined;
  }
  return undefined;
}

/** The sum of all bytes, with spaces in the place of the sum itself. */
function checksumOf(header: Buffer): number {
  let sum = 0;
  for (const [at, byte] of header.entries()) sum += at >= 148 && at < 156 ? 0x20 : byte;
  return sum;
}

/**
 * The members in their order, as a stream: nothing is kept but a chunk of the source. `InvalidRequestContent` where it is no such tar,
 * or ends before its end.
 * @param what names it in errors, such as a path
 */
export async function* readTar(source: AsyncIterable<Uint8Array>, what: string): AsyncGenerator<ReadMember> {
  const bytes = createByteReader(source, () => damaged(what, 'it ends too early: it is not whole'));
  try {
    yield* members(bytes, what);
  } finally {
    await bytes.close();
  }
}

async function* members(bytes: ByteReader, what: string): AsyncGenerator<ReadMember> {
  for (;;) {
    const header = await bytes.take(block);
    if (header.every((byte) => byte === 0)) {
      if (!(await bytes.take(block)).every((byte) => byte === 0))
        throw damaged(what, 'its end is not where it should be');
      return;
    }
    const member = parseHeader(header, what);
    let left = member.size;
    yield {
      ...member,
      body: {
        async *[Symbol.asyncIterator]() {
          while (left > 0) {
            const chunk = await bytes.some(left);
            left -= chunk.length;
            yield chunk;
          }
        },
      },
    };
    while (left > 0) left -= (await bytes.some(left)).length;
    await bytes.take(tarPadding(member.size).length);
  }
}

function parseHeader(header: Buffer, what: string): TarMember {
  const text = (from: number, length: number) => {
    const field = header.subarray(from, from + length);
    const end = field.indexOf(0);
    return field.subarray(0, end === -1 ? length : end).toString('utf8');
  };
  const octal = (from: number, length: number) => {
    const digits = text(from, length).trim();
    return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
  };
  const prefix = text(345, 155);
  const name = `${prefix === '' ? '' : `${prefix}/`}${text(0, 100)}`;
  const size = octal(124, 12);
  const isOurs = text(257, 6) === 'ustar' && octal(148, 8) === checksumOf(header) && Number.isSafeInteger(size);
  if (!isOurs) throw damaged(what, 'a header in it cannot be read');
  if (header[156] !== 0x30) throw damaged(what, `'${printable(name)}' in it is no regular file`);
  if (!isPlainName(name)) throw damaged(what, `it holds a file whose name leads elsewhere: '${printable(name)}'`);
  return { name, size };
}

const printable = (name: string) => name.replace(/[^\x20-\x7e]/g, '?').slice(0, 100);

function damaged(what: string, why: string): PoolhouseError {
  return new PoolhouseError('InvalidRequestContent', `${what} cannot be used: ${why}. Take another copy of it.`);
}

interface ByteReader {
  /** Exactly so many bytes. */
  take(count: number): Promise<Buffer>;
  /** At least one byte, and at most so many. */
  some(most: number): Promise<Buffer>;
  /** The source is told that nobody reads on. */
  close(): Promise<void>;
}

function createByteReader(source: AsyncIterable<Uint8Array>, tooShort: () => Error): ByteReader {
  const iterator = source[Symbol.asyncIterator]();
  let rest: Buffer = Buffer.alloc(0);
  async function some(most: number): Promise<Buffer> {
    while (rest.length === 0) {
      const next = await iterator.next();
      if (next.done === true) throw tooShort();
      rest = Buffer.from(next.value.buffer, next.value.byteOffset, next.value.length);
    }
    const chunk = rest.subarray(0, most);
    rest = rest.subarray(chunk.length);
    return chunk;
  }
  return {
    some,
    close: async () => {
      await iterator.return?.();
    },
    async take(count) {
      const chunks: Buffer[] = [];
      for (let left = count; left > 0;) {
        const chunk = await some(left);
        chunks.push(chunk);
        left -= chunk.length;
      }
      return Buffer.concat(chunks);
    },
  };
}

/** The whole body of a member that is known to be small. `InvalidRequestContent` where it is not. */
export async function readSmall(member: ReadMember, most: number): Promise<Buffer> {
  if (member.size > most) throw damaged(member.name, `it has ${member.size} bytes, and at most ${most} were expected`);
  return Buffer.concat(await collect(member.body));
}
