/**
 * What has to happen with the file server, the one service instance of an installation: it is made when somebody needs it, sees every
 * share, and is told whom it lets in. Pure.
 */
import type { EpochMillis } from '../core/time.ts';
import type { Power } from './power.ts';

export interface ServedShare {
  account: string;
  share: string;
}

export interface FileServerSnapshot {
  /** Somebody needs it, or it was made before. */
  wanted: boolean;
  /** Pools are being made: their images and instances go first, as long as the file server is not there. */
  poolsFirst: boolean;
  image: { ready: boolean; busy: boolean; retryAt: EpochMillis | undefined };
  /** What it is to be made of; counts once the image is ready. */
  model: string;
  /** As the engine has it. */
  found:
    | { made: boolean; power: Power; model: string; attachments: readonly (ServedShare & { path: string })[] }
    | undefined;
  /** Those that there are. */
  shares: readonly ServedShare[];
  /** Names what it has to be told. */
  word: string;
  /** What it was told, and when; undefined where it was told nothing since it was started by us. */
  told: { word: string; at: EpochMillis } | undefined;
}

export type FileServerStep =
  | { step: 'prepareImage' | 'remove' | 'create' | 'start' | 'tell' }
  | ({ step: 'attach' | 'detach'; path: string } & ServedShare);

/** It is told again after so long, whatever it knows: what somebody broke inside is mended. */
const toldAgain = 60_000;

/** Where the file server sees a share. */
export function servedPath({ account, share }: ServedShare): string {
  return `/srv/shares/${account}/${share}`;
}

/** Whether it knows this word, and was told it not long ago. */
export function isTold(told: FileServerSnapshot['told'], word: string, now: EpochMillis): boolean {
  return told?.word === word && now - told.at < toldAgain;
}

/** In the order in which the steps are to be carried out; none where all is as it should be. */
export function planFileServer(snapshot: FileServerSnapshot, now: EpochMillis): FileServerStep[] {
  const { wanted, image, found, shares, told } = snapshot;
  if (!wanted && found === undefined) return [];
  const steps: FileServerStep[] = [];
  if (!image.ready && !image.busy && (image.retryAt ?? 0) <= now && !(snapshot.poolsFirst && found === undefined))
    steps.push({ step: 'prepareImage' });
  if (found === undefined || !found.made) {
    // `create` makes one whole whose making was cut off.
    if (image.ready) steps.push({ step: 'create' });
    return steps;
  }
  if (image.ready && found.model !== snapshot.model) return [{ step: 'remove' }];
  if (found.power !== 'running') return [...steps, { step: 'start' }];
  const shown = new Set(found.attachments.map(({ path }) => path));
  const served = new Set(shares.map(servedPath));
  for (const { account, share } of shares) {
    const path = servedPath({ account, share });
    if (!shown.has(path)) steps.push({ step: 'attach', account, share, path });
  }
  // Where one cannot be attached it is told so: what would be served in its place is a folder of its own.
  const isMissing = steps.some(({ step }) => step === 'attach');
  if (isMissing || !isTold(told, snapshot.word, now)) steps.push({ step: 'tell' });
  // It lets go of a share before the share is taken from it.
  for (const { account, share, path } of found.attachments)
    if (!served.has(path)) steps.push({ step: 'detach', account, share, path });
  return steps;
}
