/**
 * Builds an image file from a recipe: packages by mmdebstrap into a folder, then files and commands of the recipe, then
 * one tar as Incus and LXD take it (`metadata.yaml`, `templates/`, `rootfs/`).
 *
 * The file appears under its final name only when it is whole, so a build that was cut off leaves nothing that counts.
 */
import { spawn } from 'node:child_process';
import { chmod, mkdir, mkdtemp, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { arch } from 'node:os';
import { dirname, join } from 'node:path';
import type { Logger } from 'pino';
import { PoolhouseError } from '../core/errors.ts';
import type { Recipe } from './recipe.ts';
import { removeTree } from './remove-tree.ts';

export interface BuildOptions {
  recipe: Recipe;
  fingerprint: string;
  suite: string;
  /** Where image files are kept; work is done below it too. */
  folder: string;
  onProgress?(phase: string): void;
  signal: AbortSignal;
  log?: Logger;
}

const limitMs = 20 * 60_000;

/** The image file of a recipe; made when it is not there. */
export async function buildImage(options: BuildOptions): Promise<string> {
  const { folder, fingerprint } = options;
  const file = join(folder, `${fingerprint}.tar`);
  if (await exists(file)) return file;
  await mkdir(folder, { recursive: true, mode: 0o700 });
  // What an interrupted build has left: its process does not run any more.
  for (const name of await readdir(folder)) {
    const builder = /^build-(\d+)-/.exec(name)?.[1];
    if (builder !== undefined && !(await exists(`/proc/${builder}`)))
      await removeTree(join(folder, name)).catch((error: unknown) => {
        options.log?.warn(
          { err: error, folder: join(folder, name) },
          'what an interrupted build left cannot be removed',
        );
      });
  }
  const work = await mkdtemp(join(folder, `build-${process.pid}-`));
  try {
    await build(options, work, file);
    return file;
  } finally {
    await removeTree(work);
  }
}

async function build(options: BuildOptions, work: string, file: string): Promise<void> {
  const { recipe, suite } = options;
  const overlay = join(work, 'overlay');
  const rootfs = join(work, 'rootfs');
  for (const one of recipe.files) {
    const path = join(overlay, one.path);
    await mkdir(dirname(path), { recursive: true, mode: 0o755 });
    await writeFile(path, one.content);
    await chmod(path, one.mode); // whatever the umask says
  }
  const finish = join(work, 'finish.sh');
  await writeFile(finish, finishScript(recipe, overlay), { mode: 0o700 });
  // In a mount namespace of its own: however the build ends, nothing stays mounted in its folder.
  await run(options, 'unshare', [
    '--mount',
    'mmdebstrap',
    '--mode=root',
    '--variant=minbase',
    '--format=directory',
    '--aptopt=Apt::Install-Recommends "false"',
    '--aptopt=Acquire::Retries "3"',
    '--dpkgopt=path-exclude=/usr/share/man/*',
    '--dpkgopt=path-exclude=/usr/share/doc/*',
    '--dpkgopt=path-include=/usr/share/doc/*/copyright',
    '--dpkgopt=path-exclude=/usr/share/locale/*',
    '--dpkgopt=force-confold',
    `--include=${recipe.packages.join(',')}`,
    `--customize-hook=${finish} "$1"`,
    suite,
    rootfs,
    ...(await sourcesOf(suite)),
  ]);
  options.onProgress?.('packing');
  await mkdir(join(work, 'templates'));
  await writeFile(
    join(work, 'templates', 'hostname.tpl'),
    `{{ config_get("user.poolhouse.hostname", container.name) }}\n`,
  );
  await writeFile(
    join(work, 'templates', 'hosts.tpl'),
    `127.0.0.1 localhost\n127.0.1.1 {{ config_get("user.poolhouse.hostname", container.name) }}\n::1 localhost ip6-localhost ip6-loopback\n`,
  );
  await writeFile(
    join(work, 'templates', 'resolv.conf.tpl'),
    `nameserver {{ config_get("user.poolhouse.nameserver", "127.0.0.53") }}\n`,
  );
  await writeFile(join(work, 'metadata.yaml'), metadata(recipe.name, suite));
  const packed = join(work, 'image.tar');
  await run(options, 'tar', [
    '--create',
    '--file',
    packed,
    '--directory',
    work,
    '--numeric-owner',
    '--xattrs',
    '--xattrs-include=security.capability',
    '--sort=name',
    'metadata.yaml',
    'templates',
    'rootfs',
  ]);
  await rename(packed, file);
}

/** Runs on the host with the new root as `$1`: puts the recipe's files in place and runs its commands inside. */
function finishScript(recipe: Recipe, overlay: string): string {
  const lines = ['#!/bin/sh', 'set -eu', 'root=$1'];
  for (const file of recipe.files) {
    if (file.divert === undefined) continue;
    lines.push(`chroot "$root" dpkg-divert --local --rename --divert ${quote(file.divert)} --add ${quote(file.path)}`);
  }
  lines.push(
    `tar -C ${quote(overlay)} --owner=0 --group=0 -cf - . | tar -C "$root" --no-overwrite-dir --keep-directory-symlink -xf -`,
  );
  for (const command of recipe.commands) lines.push(`chroot "$root" sh -ec ${quote(command)}`);
  if (recipe.mask.length > 0) lines.push(`chroot "$root" systemctl mask ${recipe.mask.map(quote).join(' ')}`);
  if (recipe.enable.length > 0) lines.push(`chroot "$root" systemctl enable ${recipe.enable.map(quote).join(' ')}`);
  lines.push('rm -f "$root/etc/hostname"', ': > "$root/etc/machine-id"');
  return `${lines.join('\n')}\n`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function metadata(name: string, suite: string): string {
  const template = (file: string) => `    when: [create, copy, start]\n    create_only: false\n    template: ${file}\n`;
  return [
    `architecture: ${arch() === 'arm64' ? 'aarch64' : 'x86_64'}`,
    'creation_date: 1700000000',
    'properties:',
    `  description: Poolhouse ${name} (${suite})`,
    `  os: Linux`,
    `  release: ${suite}`,
    'templates:',
    `  /etc/hostname:\n${template('hostname.tpl')}  /etc/hosts:\n${template('hosts.tpl')}  /etc/resolv.conf:\n${template('resolv.conf.tpl')}`,
  ].join('\n');
}

/** The host's own package sources when it runs the same suite: its mirrors work here. Otherwise the distribution's. */
async function sourcesOf(suite: string): Promise<string[]> {
  const host = await hostSuite();
  if (host.suite !== suite) return [];
  const candidates = [
    '/etc/apt/sources.list',
    '/etc/apt/sources.list.d/debian.sources',
    '/etc/apt/sources.list.d/ubuntu.sources',
  ];
  const found: string[] = [];
  for (const file of candidates) {
    const text = await readFile(file, 'utf8').catch(() => '');
    if (text.split('\n').some((line) => /^\s*(deb\s|Types:)/.test(line))) found.push(file);
  }
  return found;
}

/** The distribution that runs here, and its suite: `bookworm`, `noble`. */
export async function hostSuite(): Promise<{ distribution: string; suite: string }> {
  const text = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const value = (name: string) => new RegExp(`^${name}="?([^"\\n]*)"?$`, 'm').exec(text)?.[1] ?? '';
  return { distribution: value('ID'), suite: value('VERSION_CODENAME') };
}

/** Runs a program, keeps the end of what it says for the error, and tells of its phases. */
async function run(options: BuildOptions, program: string, argv: readonly string[]): Promise<void> {
  const limit = AbortSignal.any([options.signal, AbortSignal.timeout(limitMs)]);
  let tail = '';
  const ended = await new Promise<number | null>((resolve, reject) => {
    const child = spawn(program, argv, { stdio: ['ignore', 'pipe', 'pipe'], env: buildEnvironment(), detached: true });
    const kill = () => {
      // The whole group: mmdebstrap's children too.
      if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGTERM');
    };
    if (limit.aborted) kill();
    limit.addEventListener('abort', kill, { once: true });
    const take = (text: string) => {
      tail = (tail + text).slice(-6_000);
      for (const line of text.split('\n')) {
        const phase = phaseOf(line);
        if (phase !== undefined) options.onProgress?.(phase);
      }
    };
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    child.on('error', (error) => {
      reject(
        new PoolhouseError(
          'HostNotReady',
          `'${program}' is missing, which builds instance images. Install it: apt-get install ${program}`,
          { cause: error },
        ),
      );
    });
    child.on('close', (code) => {
      limit.removeEventListener('abort', kill);
      resolve(code);
    });
  });
  options.signal.throwIfAborted();
  if (ended === 0) return;
  if (limit.aborted)
    throw new PoolhouseError(
      'ImageBuildFailed',
      `The image '${options.recipe.name}' was not built within ${limitMs / 60_000} minutes: the package mirrors in /etc/apt or this machine are too slow at this moment. Try again when they are less busy.`,
    );
  const lines = tail
    .split('\n')
    .filter((line) => line.trim() !== '' && !/^(Get:|Selecting|Preparing|Unpacking|Setting up)/.test(line));
  throw new PoolhouseError(
    'ImageBuildFailed',
    `The image '${options.recipe.name}' could not be built: ${program} ended with ${ended ?? 'a signal'}. Its last words:\n${lines.slice(-12).join('\n')}\nCheck that the package mirrors in /etc/apt can be reached, then try again.`,
  );
}

function phaseOf(line: string): string | undefined {
  if (/running apt-get update/.test(line)) return 'reading package lists';
  if (/downloading packages|installing essential|downloading/.test(line)) return 'downloading packages';
  if (/installing remaining packages|installing packages/.test(line)) return 'installing packages';
  if (/running --customize-hook/.test(line)) return 'putting files in place';
  if (/cleaning package lists/.test(line)) return 'cleaning';
  return undefined;
}

function buildEnvironment(): NodeJS.ProcessEnv {
  const kept: NodeJS.ProcessEnv = {
    PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin`,
    LC_ALL: 'C.UTF-8',
    HOME: '/root',
    DEBIAN_FRONTEND: 'noninteractive',
  };
  for (const name of ['http_proxy', 'https_proxy', 'no_proxy', 'TMPDIR']) {
    const value = process.env[name];
    if (value !== undefined) kept[name] = value;
  }
  return kept;
}

async function exists(file: string): Promise<boolean> {
  return stat(file).then(
    () => true,
    () => false,
  );
}
