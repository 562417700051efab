import fc from 'fast-check';
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
    ['keep', { do: 'keep' }],
    ['keep 2h', { do: 'keep', until: '2h' }],
    ['keep --until 18:00', { do: 'keep', until: '18:00' }],
    ['keep --until=18:00', { do: 'keep', until: '18:00' }],
    ['keep off', { do: 'keep', until: 'off' }],
    ['poolhouse keep', { do: 'keep' }],
    ['poolhouse keep --until 18:00', { do: 'keep', until: '18:00' }],
    ['keep --help', { do: 'help', about: 'keep' }],
  ])('is %j', (command, expected) => {
    expect(readOwnCommand(Buffer.from(command))).toEqual(expected);
  });

  it.each([
    'keys remove',
    'keys remove a b',
    'keys list all',
    'keys && ls',
    'keep 2h 3h',
    'keep --for 2h',
    'keep --until',
  ])('is %j, with a complaint', (command) => {
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

  it('is told of any bytes, and never of a command that begins with a path', () => {
    const words = fc.constantFrom('passwd', 'keys', 'keep', 'add', 'remove', '--stdin', ' ', '"', '\n', '\0', 'x');
    const text = fc.array(words).map((parts) => Buffer.from(parts.join('')));
    const bytes = fc.uint8Array({ maxLength: 200 }).map((all) => Buffer.from(all));
    fc.assert(
      fc.property(fc.oneof(text, bytes), (command) => {
        const read = readOwnCommand(command);
        if (read !== undefined) expect(command.toString('utf8').trim()).toMatch(/^(passwd|keys|keep)(\s|$)/);
        expect(readOwnCommand(Buffer.concat([Buffer.from('/usr/bin/'), command]))).toBeUndefined();
      }),
    );
  });
});
