/** The real worker, asked by the real link: who comes, who leaves, and what is cut off. */
import { randomBytes } from 'node:crypto';
import { readFile, truncate, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { describe, expect, it } from 'vitest';
import { at, codeOf, never, prepareShare, put } from './test-share.ts';
import { workerMissing } from './test-worker.ts';

describe.skipIf(workerMissing !== undefined)(`the worker's line (${workerMissing ?? 'the real worker'})`, () => {
  it('takes two writers of one file', async () => {
    const { files, share } = await prepareShare();
    const half = 4 * 2 ** 20;
    const [first, second] = [randomBytes(half), randomBytes(half)];
    await files.createFile(at('big'), { size: 2 * half, metadata: {} }, never);
    await Promise.all([files.write(at('big'), 0, first, never), files.write(at('big'), half, Readable.from([second]), never)]); // prettier-ignore
    expect((await readFile(join(share, 'big'))).equals(Buffer.concat([first, second]))).toBe(true);
    const many = await Promise.all(Array.from({ length: 40 }, (_, count) => put(files, `f${count}`, `${count}`)));
    expect(many).toHaveLength(40);
  });

  it('does not take what was cut off for all of it, and goes on with others', async () => {
    const { files, share } = await prepareShare();
    await files.createFile(at('cut'), { size: 0, metadata: {} }, never);
    const cut = Readable.from(
      (async function* () {
        yield Buffer.from('begin');
        await new Promise((resolve) => setTimeout(resolve, 20));
        throw new Error('the client left');
      })(),
    );
    expect(await codeOf(files.write(at('cut'), 0, cut, never))).toBe('InvalidRequestContent');
    await truncate(join(share, 'cut'), 64 * 2 ** 20);
    const leaving = new AbortController();
    const reading = await files.read(at('cut'), { from: 0 }, leaving.signal);
    reading.once('data', () => {
      leaving.abort();
    });
    await expect(buffer(reading)).rejects.toThrow();
    expect(await codeOf(files.find(at('cut'), AbortSignal.abort()))).toContain('AbortError');
    for (let count = 0; count < 70; count += 1) await files.find(at('cut'), never);
  });

  it('waits for the worker, says that it is away, and goes on when it is back', async () => {
    const { files, worker, share } = await prepareShare();
    await writeFile(join(share, 'a'), 'a');
    await files.find(at('a'), never); // the first question waits until it has come
    await worker.kill();
    const away = files.find(at('a'), never);
    expect(await codeOf(away)).toBe('Unavailable');
    await away.catch((error: unknown) => {
      expect(error).toMatchObject({ retryable: true });
    });
    worker.start();
    expect(await files.find(at('a'), never)).toMatchObject({ name: 'a' });
  });

  it('says that a share is not attached yet', async () => {
    const { files } = await prepareShare();
    const missing = files.find({ account: 'teamfiles', share: 'later', path: [] }, never);
    await expect(missing).rejects.toMatchObject({ code: 'Unavailable', retryable: true });
  });

  it('is not confused by whoever else connects', async () => {
    const { files, worker } = await prepareShare();
    for (let count = 0; count < 5; count += 1) {
      const stranger = connect(worker.socketPath);
      stranger.on('error', () => undefined);
      stranger.write('HTTP/1.1 200 OK\r\n\r\n');
      await new Promise((resolve) => stranger.once('close', resolve));
    }
    expect(await files.find(at(''), never)).toMatchObject({ kind: 'folder' });
  });
});
