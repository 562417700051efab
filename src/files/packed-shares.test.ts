import { describe, expect, it } from 'vitest';
import { collect } from '../core/collect.ts';
import { PoolhouseError } from '../core/errors.ts';
import { decodePackedShares, encodePackedShares, type PackedShare } from './packed-shares.ts';

const list: PackedShare[] = [
  {
    account: 'team',
    share: 'shared',
    folders: [{ folder: 'notebooks/alice', quotaBytes: 5 }, { folder: 'groups/lab' }],
  },
  { account: 'team', share: 'empty', folders: [] },
];
const mebibyte = 2 ** 20;
const content: Record<string, Buffer> = { shared: Buffer.alloc(9 * mebibyte + 5, 'x'), empty: Buffer.from('e') };

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const encode = (size = 300_000, onError: (error: unknown) => void = () => undefined) =>
  encodePackedShares(list, ({ share }) => Promise.resolve(pieces(content[share] ?? Buffer.alloc(0), size)), onError);

describe('what shares hold as a stream', () => {
  it.each([300_000, 30 * mebibyte])('comes out as it went in, in parts, from pieces of %i bytes', async (size) => {
    const { list: found, parts } = await decodePackedShares(encode(size));
    expect(found).toEqual(list);
    const read: Record<string, Buffer[]> = {};
    const seen: string[] = [];
    for await (const { share, part, bytes } of parts) {
      seen.push(`${share} ${part}`);
      expect(bytes.length).toBeLessThanOrEqual(4 * mebibyte);
      (read[list[share]?.share ?? ''] ??= []).push(bytes);
    }
    expect(seen).toEqual(['0 1', '0 2', '0 3', '1 1']);
    for (const [name, bytes] of Object.entries(content))
      expect(Buffer.concat(read[name] ?? []).equals(bytes)).toBe(true);
  });

  it('fails at the reader with what failed at the other end', async () => {
    const told: unknown[] = [];
    const failure = new PoolhouseError('Unavailable', 'The file server ended.');
    const stream = encodePackedShares(
      list,
      async function () {
        return (async function* () {
          yield await Promise.resolve(Buffer.from('some'));
          throw failure;
        })();
      } as never, // as a pack that breaks off
      (error) => told.push(error),
    );
    const { parts } = await decodePackedShares(stream);
    await expect(collect(parts)).rejects.toMatchObject({
      code: 'Unavailable',
      message: 'The file server ended.',
    });
    expect(told).toEqual([failure]);
  });

  it('is never taken for whole where it breaks off', async () => {
    const bytes = Buffer.concat(await collect(encode()));
    for (const length of [bytes.length - 1_536, bytes.length - 2_048, bytes.length - 2_600, 5 * mebibyte, 2_000]) {
      const { parts } = await decodePackedShares(pieces(bytes.subarray(0, length), 100_000));
      await expect(collect(parts), `${length} bytes`).rejects.toMatchObject({
        code: expect.stringMatching(/InvalidRequestContent|InternalServerError/) as string,
      });
    }
  });
});
