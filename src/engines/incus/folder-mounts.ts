/**
 * Folders with rooms of their own, mounted on the host so that the daemon can show them to instances: by the number of their subvolume, which no
 * link can lead astray, and not by a path.
 */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readFile, readlink, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { PoolhouseError } from '../../core/errors.ts';

const limitMs = 30_000;

export function createFolderMounts({ folder, pool }: { folder: string; pool: string }) {
  return {
    /** Mounts it where it is not. @returns where */
    async mount(subvolume: number, signal: AbortSignal): Promise<string> {
      const target = join(folder, String(subvolume));
      const found = parseMounts(await mountTable());
      if (found.some((one) => one.target === target && one.subvolume === subvolume)) return target;
      const device = found.find((one) => one.target === pool)?.source;
      if (device === undefined)
        throw new PoolhouseError(
          'HostNotReady',
          `The storage pool of the shares is not mounted at ${pool}: only a daemon that is installed as a Debian package can show parts of a share.`,
        );
      await mkdir(target, { recursive: true, mode: 0o711 });
      const options = `subvolid=${String(subvolume)},nosuid,nodev`;
      await onHost(['mount', '-t', 'btrfs', '-o', options, device, target], signal);
      return target;
    },
    /** All but these. */
    async unmountAllBut(targets: ReadonlySet<string>, signal: AbortSignal): Promise<void> {
      const ours = parseMounts(await mountTable()).filter(({ target }) => target.startsWith(`${folder}/`));
      for (const { target } of ours) {
        if (targets.has(target)) continue;
        await onHost(['umount', '-l', target], signal);
        await rmdir(target).catch(() => undefined); // it is made again where it is needed
      }
    },
    /** All of them, and where they were. */
    async remove(signal: AbortSignal): Promise<void> {
      await this.unmountAllBut(new Set(), signal);
      // The installation's folder above it may hold more, which is not ours.
      for (const path of [folder, dirname(folder)]) await rmdir(path).catch(() => undefined);
    },
  };
}

export type FolderMounts = ReturnType<typeof createFolderMounts>;

interface HostMount {
  target: string;
  source: string;
  subvolume: number | undefined;
}

/** Rows of `/proc/self/mountinfo`. */
export function parseMounts(text: string): HostMount[] {
  return text.split('\n').flatMap((line) => {
    const [before, after] = line.split(' - ');
    const target = before?.split(' ')[4];
    const [, source, options = ''] = after?.split(' ') ?? [];
    if (target === undefined || source === undefined) return [];
    const subvolume = /(?:^|,)subvolid=(\d+)/.exec(options)?.[1];
    return [{ target: unescaped(target), source, subvolume: subvolume === undefined ? undefined : Number(subvolume) }];
  });
}

const unescaped = (text: string) =>
  text.replace(/\\([0-7]{3})/g, (_all, digits: string) => String.fromCharCode(parseInt(digits, 8)));
const mountTable = () => readFile('/proc/self/mountinfo', 'utf8');

/** What is mounted must be seen by the daemon: a unit of systemd's has a view of its own, and has systemd mount for it. */
async function onHost(argv: readonly string[], signal: AbortSignal): Promise<void> {
  const views = ['/proc/self/ns/mnt', '/proc/1/ns/mnt'].map((path) => readlink(path).catch(() => undefined));
  const [own, host] = await Promise.all(views);
  const isApart = existsSync('/run/systemd/system') && own !== host;
  const [program = '', ...rest] = isApart ? ['systemd-run', '--quiet', '--wait', '--collect', '--', ...argv] : argv;
  await promisify(execFile)(program, rest, { timeout: limitMs, signal });
}
