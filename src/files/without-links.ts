/**
 * A tar without some of its links. In the snapshot of a share a link stands where a folder has a room of its own: it leads to
 * what is packed by itself, and where the tar is unpacked again the folder itself is there.
 */
const block = 512;
/** Of a header of an extension; what is larger is passed on without being understood. */
const largestExtension = 2 ** 20;

/** @param names of the links, from the root of the tar on, such as `notebooks/alice` */
export async function* withoutLinks(source: AsyncIterable<Buffer>, names: ReadonlySet<string>): AsyncGenerator<Buffer> {
  if (names.size === 0) {
    yield* source;
    return;
  }
  let rest: Buffer = Buffer.alloc(0);
  /** Of the body that is under way, with its padding. */
  let left = 0;
  /** Headers of extensions, kept until it is known whether they belong to what is left out. */
  let before: Buffer[] = [];
  let extension: { bytes: Buffer[]; left: number; size: number; type: string } | undefined;
  let longName: string | undefined;

  for await (const chunk of source) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    for (;;) {
      if (left > 0) {
        const piece = rest.subarray(0, left);
        if (piece.length === 0) break;
        left -= piece.length;
        rest = rest.subarray(piece.length);
        yield piece;
        continue;
      }
      if (extension !== undefined) {
        const piece = rest.subarray(0, extension.left);
        if (piece.length === 0) break;
        extension.bytes.push(piece);
        extension.left -= piece.length;
        rest = rest.subarray(piece.length);
        if (extension.left > 0) continue;
        const body = Buffer.concat(extension.bytes);
        longName = nameIn(extension.type, body.subarray(0, extension.size)) ?? longName;
        before.push(body);
        extension = undefined;
        continue;
      }
      if (rest.length < block) break;
      const header = rest.subarray(0, block);
      rest = rest.subarray(block);
      const size = sizeOf(header);
      const padded = Math.ceil(size / block) * block;
      const type = String.fromCharCode(header[156] ?? 0);
      if (/[xLK]/.test(type) && size <= largestExtension) {
        before.push(header);
        if (padded > 0) extension = { bytes: [], left: padded, size, type };
        continue;
      }
      const name = (longName ?? nameOf(header)).replace(/^(\.\/)+/, '').replace(/\/+$/, '');
      longName = undefined;
      if (type === '2' && names.has(name)) {
        before = [];
        continue;
      }
      yield* before;
      before = [];
      left = padded;
      yield header;
    }
  }
  yield* before;
  if (rest.length > 0) yield rest;
}

function text(field: Buffer): string {
  const end = field.indexOf(0);
  return field.subarray(0, end === -1 ? field.length : end).toString('utf8');
}

function nameOf(header: Buffer): string {
  const prefix = text(header.subarray(257, 263)) === 'ustar' ? text(header.subarray(345, 500)) : '';
  return `${prefix === '' ? '' : `${prefix}/`}${text(header.subarray(0, 100))}`;
}

/** Octal digits, or base 256 where the first bit says so. */
function sizeOf(header: Buffer): number {
  const field = header.subarray(124, 136);
  if (((field[0] ?? 0) & 0x80) !== 0) return Number(field.readBigUInt64BE(4));
  return Number.parseInt(text(field).trim(), 8) || 0;
}

/** The name that an extension gives to what comes after it. */
function nameIn(type: string, body: Buffer): string | undefined {
  if (type === 'L') return text(body);
  if (type !== 'x') return undefined;
  for (let at = 0; at < body.length; ) {
    const space = body.indexOf(0x20, at);
    const length = Number(body.subarray(at, space).toString('latin1'));
    if (space === -1 || !Number.isInteger(length) || length <= 0) return undefined;
    const record = body.subarray(space + 1, at + length - 1).toString('utf8');
    if (record.startsWith('path=')) return record.slice('path='.length);
    at += length;
  }
  return undefined;
}
