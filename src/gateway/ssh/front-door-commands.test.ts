/** What a person asks the front door itself over ssh: keys and passwords, with the real clients of OpenSSH. */
import { describe, expect, it, onTestFinished } from 'vitest';
import { until } from '../test-support.ts';
import { clientsMissing, openSshDoor, password, pool, start, type SshDoor } from './ssh-door.ts';

describe.skipIf(clientsMissing !== undefined)(
  `who asks the front door itself, without a machine (${clientsMissing ?? 'by the clients of OpenSSH'})`,
  { timeout: 60_000 },
  () => {
    const account = {
      user: 'alice',
      hasPassword: true,
      keys: [{ type: 'ssh-ed25519', fingerprint: 'SHA256:abc', comment: 'at home' }],
    };
    const openOwnDoor = async () => {
      const door = await openSshDoor();
      door.place = () => Promise.reject(new Error('nobody was to be placed'));
      door.answerSelf = ({ asks }) =>
        asks.for === 'password' && asks.old !== password
          ? { outcome: 'wrong password', message: 'That is not your password until now.' }
          : { outcome: 'done', message: 'It is done.', account };
      onTestFinished(() => {
        expect(door.sshd.connections.size).toBe(0);
        expect(JSON.stringify(door.logged)).not.toMatch(/Horse/);
      });
      return door;
    };
    const typing = (door: SshDoor, ...lines: string[]) => {
      const { child, told, done } = start('ssh', [...door.withKey(), '-tt', 'alice@127.0.0.1', 'passwd']);
      const answer = async () => {
        for (const [index, line] of lines.entries()) {
          await until('it is asked', () => told.stdout.split(': ').length > index + 1);
          child.stdin.write(`${line}\r`);
        }
      };
      return Promise.all([done, answer()]).then(([result]) => result);
    };

    it('which keys there are', async () => {
      const door = await openOwnDoor();
      expect(await door.ssh('alice', 'keys').done).toEqual({
        code: 0,
        stdout: 'SHA256:abc ssh-ed25519 at home\n',
        stderr: '',
      });
      expect(door.asked).toEqual([
        { pool, user: 'alice', protocol: 'ssh', client: '127.0.0.1', asks: { for: 'account' } },
      ]);
    });

    it('for more keys, from stdin or said, and for less', async () => {
      const door = await openOwnDoor();
      const { child, done } = door.ssh('alice', 'keys add');
      child.stdin.end('ssh-ed25519 AAAA one\nssh-ed25519 BBBB two\n');
      expect(await done).toEqual({ code: 0, stdout: 'It is done.\n', stderr: '' });
      await door.ssh('alice', 'keys', 'add', 'ssh-ed25519 CCCC three').done;
      await door.ssh('alice', 'keys remove SHA256:abc').done;
      expect(door.asked.map(({ asks }) => asks)).toEqual([
        { for: 'more keys', lines: 'ssh-ed25519 AAAA one\nssh-ed25519 BBBB two\n' },
        { for: 'more keys', lines: 'ssh-ed25519 CCCC three' },
        { for: 'less keys', fingerprint: 'SHA256:abc' },
      ]);
    });

    it('for another password, typed unseen', async () => {
      const door = await openOwnDoor();
      const { code, stdout } = await typing(door, password, 'New-Horse-77', 'New-Horse-77');
      expect({ code, stdout }).toEqual({
        code: 0,
        stdout: 'Old password: \r\nNew password: \r\nNew password again: \r\nIt is done.\r\n',
      });
      expect(door.asked.at(-1)?.asks).toEqual({ for: 'password', old: password, new: 'New-Horse-77' });
    });

    it('for none, when what was typed differs', async () => {
      const door = await openOwnDoor();
      const { code, stdout, stderr } = await typing(door, password, 'New-Horse-77', 'New-Horse-78');
      expect(code).toBe(1);
      expect(stdout + stderr).toContain('not the same');
      expect(door.asked.map(({ asks }) => asks.for)).toEqual(['account']);
    });

    it('for another password, piped', async () => {
      const door = await openOwnDoor();
      const pipe = async (text: string) => {
        const { child, done } = door.ssh('alice', 'passwd --stdin');
        child.stdin.end(text);
        return done;
      };
      expect(await pipe(`${password}\nNew-Horse-77\n`)).toMatchObject({ code: 0, stdout: 'It is done.\n' });
      expect(await pipe(`Wrong-Horse-7\nNew-Horse-77\n`)).toEqual({
        code: 1,
        stdout: '',
        stderr: 'That is not your password until now.\n',
      });
      await pipe('New-Horse-77\n');
      expect(door.asked.map(({ asks }) => asks)).toEqual([
        { for: 'password', old: password, new: 'New-Horse-77' },
        { for: 'password', old: 'Wrong-Horse-7', new: 'New-Horse-77' },
        { for: 'password', new: 'New-Horse-77' },
      ]);
    });

    it('and is told how, where it cannot be so', async () => {
      const door = await openOwnDoor();
      expect(await door.ssh('alice', 'passwd').done).toMatchObject({
        code: 2,
        stderr: expect.stringContaining('ssh -t') as string,
      });
      expect(await door.ssh('alice', 'keys --help').done).toMatchObject({
        code: 0,
        stdout: expect.stringContaining('keys add') as string,
      });
      expect(door.asked).toEqual([]);
    });
  },
);
