/** What shares hold, carried over control's local socket as streams: from it for a backup, to it for a restore. */
import { request, type IncomingMessage } from 'node:http';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { PoolhouseError } from '../../core/errors.ts';
import { decodePackedShares, type PackedShare, type PackPart } from '../../files/packed-shares.ts';
import { errorOfControl } from '../local-api.ts';

export interface ShareBackupStream {
  list: PackedShare[];
  /** To be read in its order, once. Fails where control could not go on, or ended. */
  parts: AsyncIterable<PackPart>;
  /** Snapshots are removed when this is closed, or read to its end. */
  close(): void;
}

const away = (cause: unknown) =>
  new PoolhouseError(
    'HostNotReady',
    `Control does not answer, and only control reads what shares hold. 'poolhouse up' starts it; 'poolhouse logs control' tells what happened.`,
    { cause, retryable: true },
  );

/** Has control take snapshots of all shares, and gives what they hold, which is packed when it is read. */
export async function openShareBackup(socketPath: string, signal: AbortSignal): Promise<ShareBackupStream> {
  const outgoing = request({ socketPath, path: '/v1/share-backup', method: 'POST', signal });
  const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.on('response', resolve).on('error', (error) => {
      reject(signal.aborted ? (signal.reason as Error) : away(error));
    });
    outgoing.flushHeaders();
  });
  if (incoming.statusCode !== 200) {
    outgoing.end();
    throw errorOfControl(await textOf(incoming));
  }
  const { list, parts } = await decodePackedShares(brokenOff(incoming, signal));
  async function* whenRead(): AsyncGenerator<PackPart> {
    outgoing.end(); // control packs from now on
    yield* parts;
  }
  return { list, parts: whenRead(), close: () => incoming.destroy() };
}

/** What fails while it is read: control ended, or was ended. */
async function* brokenOff(incoming: IncomingMessage, signal: AbortSignal): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of incoming) yield chunk as Buffer;
  } catch (error) {
    signal.throwIfAborted();
    throw away(error);
  }
}

/** Puts the tar into a share. A failure that is retryable may be tried again with the tar from its beginning. */
export async function fillShare(
  socketPath: string,
  { account, share }: { account: string; share: string },
  tar: AsyncIterable<Buffer>,
  signal: AbortSignal,
): Promise<void> {
  const path = `/v1/share-restore/fill?${new URLSearchParams({ account, share }).toString()}`;
  const outgoing = request({ socketPath, path, method: 'POST', signal });
  const answer = new Promise<IncomingMessage>((resolve, reject) => {
    outgoing.on('response', resolve);
    outgoing.on('error', (error) => {
      reject(signal.aborted ? (signal.reason as Error) : away(error));
    });
  });
  const source = Readable.from(tar);
  let unreadable: unknown;
  source.on('error', (error) => (unreadable = error));
  const sent = pipeline(source, outgoing).catch(() => undefined); // the answer tells
  try {
    const incoming = await answer;
    if (incoming.statusCode !== 200) throw errorOfControl(await textOf(incoming));
    await textOf(incoming);
  } catch (error) {
    throw unreadable ?? error; // what cannot be read was said better
  } finally {
    source.destroy();
    await sent;
  }
}

async function textOf(incoming: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of incoming.setEncoding('utf8')) text += String(chunk);
  return text;
}
