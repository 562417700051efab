/** SSH that knows people, with the real clients of OpenSSH; the instance behind it is a small server of the test. */
import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { until } from '../test-support.ts';
import { startFakeSshd } from './fake-instance.ts';
import { clientsMissing, openSshDoor, password, pool, start } from './ssh-door.ts';
import { encodePublicKey } from './ssh-keys.ts';

describe.skipIf(clientsMissing !== undefined)(
  `ssh that knows people (${clientsMissing ?? 'by the clients of OpenSSH'})`,
  { timeout: 60_000 },
  () => {
    it('runs a command as the person, with its output, its errors and its end', async () => {
      const door = await openSshDoor();
      const result = await door.ssh('alice', 'echo hello; echo trouble >&2; exit 7').done;
      expect(result).toEqual({ code: 7, stdout: 'hello\n', stderr: 'trouble\n' });
      await until('the session is over', () => door.sessions.size === 0 && door.sshd.connections.size === 0);
      expect(door.logged.map(({ fields }) => fields['audit']).filter(Boolean)).toEqual([
        'signed in',
        'session begins',
        'session ends',
      ]);
    });

    it('signs in by password, and lets nobody in with another', async () => {
      const door = await openSshDoor();
      expect(await door.bySecret('alice', password, 'echo in').done).toMatchObject({ code: 0, stdout: 'in\n' });
      expect(await door.bySecret('alice', 'Wrong-Horse-7', 'echo in').done).toMatchObject({ code: 5, stdout: '' });
      expect(JSON.stringify(door.logged)).not.toMatch(/Horse/);
      expect(door.logged.map(({ fields }) => fields['audit'])).toContain('refused');
    });

    it.each(['bob', 'carol', 'root', 'alice '])('lets nobody in as %j, who may not enter this pool', async (user) => {
      const door = await openSshDoor();
      expect(await door.ssh(user, 'echo in').done).toMatchObject({ code: 255, stdout: '' });
      expect(door.sshd.connections.size).toBe(0);
    });

    it('shows one host key, whatever is behind it', async () => {
      const door = await openSshDoor();
      await door.ssh('alice', 'true').done;
      const known = await readFile(join(door.folder, 'known'), 'utf8');
      door.sshd = await startFakeSshd(Buffer.from('none'));
      const argv = [...door.withKey(), '-o', 'StrictHostKeyChecking=yes', 'alice@127.0.0.1', 'true'];
      expect(await start('ssh', argv).done).toMatchObject({ code: 0 });
      expect(await readFile(join(door.folder, 'known'), 'utf8')).toBe(known);
    });

    it('trusts no instance that shows another host key than the engine told', async () => {
      const door = await openSshDoor();
      door.directory.instanceKeys = {
        'i-0': [`ssh-ed25519 ${encodePublicKey(generateKeyPairSync('ed25519').publicKey).blob.toString('base64')}`],
      };
      await door.serve();
      const { code, stdout, stderr } = await door.ssh('alice', 'echo in').done;
      expect({ code, stdout }).toEqual({ code: 255, stdout: '' });
      expect(stderr).toContain('another host key');
      await until('nothing is left', () => door.sshd.connections.size === 0);
    });

    it('copies files both ways, whole', async () => {
      const door = await openSshDoor();
      const bytes = randomBytes(20_000_000);
      await writeFile(join(door.folder, 'there'), bytes);
      const scp = (from: string, to: string) =>
        start('scp', ['-q', ...door.options('-i', join(door.folder, 'key'), '-P', String(door.port)), from, to]).done;
      expect(await scp(join(door.folder, 'there'), `alice@127.0.0.1:${join(door.folder, 'copied')}`)).toMatchObject({
        code: 0,
        stderr: '',
      });
      expect(await scp(`alice@127.0.0.1:${join(door.folder, 'copied')}`, join(door.folder, 'back'))).toMatchObject({
        code: 0,
      });
      const digest = (of: Buffer) => createHash('sha256').update(of).digest('hex');
      expect(digest(await readFile(join(door.folder, 'back')))).toBe(digest(bytes));
    });

    it('forwards a port', async () => {
      const door = await openSshDoor();
      const service = createServer((socket) => socket.end('from inside'));
      await once(service.listen(0, '127.0.0.1'), 'listening');
      onTestFinished(() => void service.close());
      const { port: inner } = service.address() as AddressInfo;
      const result = await start('ssh', [...door.withKey(), '-W', `127.0.0.1:${inner}`, 'alice@127.0.0.1']).done;
      expect(result).toEqual({ code: 0, stdout: 'from inside', stderr: '' });
    });

    it('tells who waits at a terminal what is happening, and lets them in', async () => {
      const door = await openSshDoor();
      const ready = Promise.withResolvers<void>();
      door.place = async ({ onWaiting }) => {
        onWaiting('A machine is being made for you.');
        await ready.promise;
        return { outcome: 'placed', instance: 'i-0' };
      };
      const { child, told, done } = start('ssh', [...door.withKey(), '-tt', 'alice@127.0.0.1']);
      await until('it is told', () => (told.stdout + told.stderr).includes('A machine is being made for you.'));
      ready.resolve();
      child.stdin.write('echo $((6*7)); exit\n');
      const { code, stdout } = await done;
      expect({ code, answered: stdout.includes('42') }).toEqual({ code: 0, answered: true });
      expect(door.sshd.terminals).toHaveLength(1);
    });

    it('says nothing into the data of a program while it waits', async () => {
      const door = await openSshDoor();
      door.place = async ({ onWaiting }) => {
        onWaiting('A machine is being made for you.');
        await new Promise((resolve) => setTimeout(resolve, 100));
        return { outcome: 'placed', instance: 'i-0' };
      };
      expect(await door.ssh('alice', 'echo data').done).toEqual({ code: 0, stdout: 'data\n', stderr: '' });
    });

    it('says why nobody could be placed', async () => {
      const door = await openSshDoor();
      door.place = () => Promise.resolve({ outcome: 'refused', message: 'Its operator has switched this pool off.' });
      const { code, stderr } = await door.ssh('alice', 'true').done;
      expect({ code, stderr }).toEqual({ code: 255, stderr: 'Its operator has switched this pool off.\n' });
    });

    it('goes to another instance when one does not answer', async () => {
      const door = await openSshDoor();
      const asked: (readonly string[])[] = [];
      door.place = ({ unusable }) => {
        const away = unusable();
        asked.push([...away]);
        return Promise.resolve({ outcome: 'placed', instance: away.length === 0 ? 'i-gone' : 'i-0' });
      };
      expect(await door.ssh('alice', 'echo in').done).toMatchObject({ code: 0, stdout: 'in\n' });
      expect(asked).toEqual([[], ['i-gone']]);
    });

    it('ends a session with a reason that is seen at a terminal', async () => {
      const door = await openSshDoor();
      const { child, told, done } = start('ssh', [...door.withKey(), '-tt', 'alice@127.0.0.1']);
      child.stdin.write('echo ready-$((1+1))\n');
      await until('the shell runs', () => told.stdout.includes('ready-2'));
      const [session] = door.sessions.find(({ user }) => user === 'alice');
      expect(session).toMatchObject({ pool, instance: 'i-0', protocol: 'ssh', client: '127.0.0.1' });
      session?.tell('This machine goes in ten minutes.');
      await until('it is told', () => (told.stdout + told.stderr).includes('ten minutes'));
      session?.end('The machine is needed.');
      const { code, stdout, stderr } = await done;
      expect(code).toBe(255);
      expect(stdout + stderr).toContain('The machine is needed.');
      await until('nothing is left', () => door.sessions.size === 0 && door.sshd.connections.size === 0);
    });

    it('has the programs of those names on the machine by their path', async () => {
      const door = await openSshDoor();
      const { code, stderr } = await door.ssh('alice', '/nonexistent/passwd').done;
      expect({ code, stderr }).toEqual({ code: 127, stderr: expect.stringContaining('not found') as string });
    });

    it('may read as slowly as it likes: all comes, and then the end', async () => {
      const door = await openSshDoor();
      const ended = join(door.folder, 'ended');
      const { child, done } = door.ssh('alice', `head -c 4000000 /dev/zero; : > ${ended}; exit 5`);
      child.stdout.pause();
      await until('the program has ended', () => existsSync(ended));
      child.stdout.resume();
      const { code, stdout } = await done;
      expect([code, stdout.length]).toEqual([5, 4_000_000]);
    });

    it('has a machine when it opens no session at all', async () => {
      const door = await openSshDoor();
      const { done, child } = start('ssh', [...door.withKey(), '-N', 'alice@127.0.0.1']);
      await until('the machine is there', () => door.sessions.size === 1);
      child.kill();
      await done;
    });

    it('is active when it moves bytes, and not for keep-alives', async () => {
      const door = await openSshDoor();
      const alive = ['-o', 'ServerAliveInterval=1'];
      const { child, told, done } = start('ssh', [...door.withKey(), ...alive, '-tt', 'alice@127.0.0.1']);
      child.stdin.write('echo ready-$((1+1))\n');
      await until('the shell runs', () => told.stdout.includes('ready-2'));
      const activeAt = () => door.sessions.report()[0]?.activeAt ?? 0;
      // A prompt may come behind it; then nothing does.
      await until('it is quiet', () => Date.now() - activeAt() > 2_500);
      const before = activeAt();
      child.stdin.write('echo again-$((1+1))\n');
      await until('it says something', () => told.stdout.includes('again-2'));
      expect(activeAt()).toBeGreaterThan(before);
      child.kill();
      await done;
      await until('nothing is left', () => door.sessions.size === 0);
    });

    it('ends with the instance, in words', async () => {
      const door = await openSshDoor();
      const { child, told, done } = start('ssh', [...door.withKey(), '-tt', 'alice@127.0.0.1']);
      child.stdin.write('echo ready-$((1+1))\n');
      await until('the shell runs', () => told.stdout.includes('ready-2'));
      for (const connection of door.sshd.connections) connection.end();
      const { stdout, stderr } = await done;
      expect(stdout + stderr).toContain('has ended');
      await until('nothing is left', () => door.sessions.size === 0);
    });
  },
);
