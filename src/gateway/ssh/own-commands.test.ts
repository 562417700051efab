import { describe, expect, it } from 'vitest';
import { readOwnCommand } from './own-commands.ts';

describe('a command that the front door answers', () => {
  it.each([
    ['passwd', { do: 'change password', from: 'terminal' }],
    ['passwd --stdin', { do: 'change password', from: 'stdin' }],
    ['passwd --help', { do: 'help', about: 'passwd' }],
    ['keys', { do: 'list keys' }],
    [' keys  list ', { do: 'list keys' }],
    ['keys add', { do: 'add keys' }],
    ['keys add -', { do: 'add keys' }],
    ['keys add ssh-ed25519 AAAA me@home', { do: 'add keys', lines: 'ssh-ed25519 AAAA me@home' }],
    ['keys add "ssh-ed25519 AAAA me@home"', { do: 'add keys', lines: 'ssh-ed25519 AAAA me@home' }],
    ['keys remove SHA256:abc', { do: 'remove key', fingerprint: 'SHA256:abc' }],
    ['keys --help', { do: 'help', about: 'keys' }],
  ])('is %j', (command, expected) => {
    expect(readOwnCommand(Buffer.from(command))).toEqual(expected);
  });

  it.each(['keys remove', 'keys remove a b', 'keys list all', 'keys && ls'])('is %j, with a complaint', (command) => {
    expect(readOwnCommand(Buffer.from(command))).toMatchObject({ do: 'complain' });
  });

  it.each([
    ...['', 'hostname', '/usr/bin/passwd', 'passwd -S', 'passwd alice', 'passwd;ls', 'passwd --stdin x', 'PASSWD'],
    ...[
      'keyset',
      'keys;ls',
      './keys',
      'sudo passwd',
      'passwd constructor',
      'passwd __proto__',
      `keys ${'x'.repeat(70_000)}`,
    ],
  ])('is not %j', (command) => {
    expect(readOwnCommand(Buffer.from(command))).toBeUndefined();
  });
});
