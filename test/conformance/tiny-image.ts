/** A system of one program (busybox) as an image file: enough to try everything that an engine promises, in 2 MB. */
import { execFile } from 'node:child_process';
import { chmod, copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const applets =
  'awk base64 cat chmod chown cp dd echo false grep hostname id ip ls mkdir mount nproc nslookup ping ps pwd rm seq sh sleep stat su sync touch true umount wc'.split(
    ' ',
  );

/** An init that ends when it is told to, and takes in the processes that others have left. */
const init = `#!/bin/sh
trap 'exit 0' PWR TERM
hostname "$(cat /etc/hostname)"
while :; do sleep 3600 & wait; done
`;

/** Builds `FOLDER/image.tar`. */
export async function buildTinyImage(folder: string): Promise<string> {
  const root = join(folder, 'rootfs');
  for (const name of [
    'bin',
    'sbin',
    'etc',
    'dev',
    'proc',
    'sys',
    'tmp',
    'run',
    'root',
    'mnt',
    'opt',
    'usr',
    'var/lib/poolhouse',
  ]) {
    await mkdir(join(root, name), { recursive: true });
  }
  await chmod(join(root, 'tmp'), 0o1777);
  await copyFile('/bin/busybox', join(root, 'bin/busybox'));
  await chmod(join(root, 'bin/busybox'), 0o755);
  for (const applet of applets) await symlink('busybox', join(root, 'bin', applet));
  await writeFile(join(root, 'sbin/init'), init, { mode: 0o755 });
  await writeFile(join(root, 'bin/effective-user'), effectiveUserProgram(), { mode: 0o755 });
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n');
  await writeFile(join(root, 'etc/group'), 'root:x:0:\nnogroup:x:65534:\n');
  await mkdir(join(folder, 'templates'));
  await writeFile(
    join(folder, 'templates/hostname.tpl'),
    '{{ config_get("user.poolhouse.hostname", container.name) }}\n',
  );
  await writeFile(join(folder, 'metadata.yaml'), metadata());
  const file = join(folder, 'image.tar');
  await promisify(execFile)(
    'tar',
    [
      '--create',
      '--file',
      file,
      '--directory',
      folder,
      '--numeric-owner',
      '--owner=0',
      '--group=0',
      'metadata.yaml',
      'templates',
      'rootfs',
    ],
    { timeout: 60_000 },
  );
  return file;
}

function metadata(): string {
  return `architecture: ${process.arch === 'arm64' ? 'aarch64' : 'x86_64'}
creation_date: 1700000000
properties:
  description: A tiny system to try engines with
  os: Linux
  release: tiny
templates:
  /etc/hostname:
    when: [create, copy, start]
    create_only: false
    template: hostname.tpl
`;
}

/**
 * A program whose exit code is the last byte of its effective user id (0 for root). Made by hand, because no shell and
 * no busybox keeps the rights of a setuid file: they would make a test pass that should fail.
 */
function effectiveUserProgram(): Uint8Array {
  const arm = process.arch === 'arm64';
  const code = arm
    ? [0xe8, 0x15, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4, 0xa8, 0x0b, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4] // x8=175; svc; x8=93; svc
    : [0xb8, 0x6b, 0, 0, 0, 0x0f, 0x05, 0x89, 0xc7, 0xb8, 0x3c, 0, 0, 0, 0x0f, 0x05]; // eax=107; syscall; edi=eax; eax=60; syscall
  const start = 0x400000;
  const headers = 64 + 56;
  const file = Buffer.alloc(headers + code.length);
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1], 0); // ELF, 64 bits, little endian
  file.writeUInt16LE(2, 16); // executable
  file.writeUInt16LE(arm ? 183 : 62, 18);
  file.writeUInt32LE(1, 20);
  file.writeBigUInt64LE(BigInt(start + headers), 24); // entry
  file.writeBigUInt64LE(64n, 32); // program headers
  file.writeUInt16LE(64, 52);
  file.writeUInt16LE(56, 54);
  file.writeUInt16LE(1, 56);
  file.writeUInt32LE(1, 64); // load
  file.writeUInt32LE(5, 68); // readable, executable
  file.writeBigUInt64LE(BigInt(start), 80);
  file.writeBigUInt64LE(BigInt(start), 88);
  file.writeBigUInt64LE(BigInt(file.length), 96);
  file.writeBigUInt64LE(BigInt(file.length), 104);
  file.writeBigUInt64LE(0x1000n, 112);
  file.set(code, headers);
  return file;
}
