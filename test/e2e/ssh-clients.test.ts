/**
 * The front door with the clients that people have: what they do has to go as with any ssh server. One pool on the real
 * engine for all of them; `front-door.test.ts` has what is ours alone.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { missingForSystemTests, must, repository, run, TestInstallation, until, type Result } from './installation.ts';

const missing = await missingForSystemTests([
  ...['ssh', 'sftp', 'rsync', 'sshfs', 'fusermount3', 'plink', 'psftp', 'puttygen', 'dbclient', 'dropbearconvert'],
  ...['xauth', 'ssh-agent', 'curl', 'nft', 'mmdebstrap'],
]);
const crowd = 200;
const machines = 4;

describe.skipIf(missing !== undefined)(`ssh clients${missing === undefined ? '' : ` (left out: ${missing})`}`, () => {
  let installation: TestInstallation;
  let folder: string;
  let address: string;

  const own = (name: string) => join(folder, name);
  const options = () => [
    ...['-F', 'none', '-i', own('key'), '-o', 'IdentitiesOnly=yes', '-o', 'BatchMode=yes', '-o', 'LogLevel=ERROR'],
    ...['-o', `UserKnownHostsFile=${own('known')}`, '-o', 'StrictHostKeyChecking=accept-new'],
  ];
  const alice = () => `alice@${address}`;
  const ssh = (...argv: string[]): Promise<Result> =>
    run('ssh', [...options(), ...argv], { timeoutMs: 120_000, env: { ...process.env, SSH_AUTH_SOCK: '' } });
  /** One that goes on until it is ended, or the test is over. */
  const start = (program: string, argv: string[], env: NodeJS.ProcessEnv = process.env) => {
    const child = spawn(program, argv, { env });
    const told = { out: '', error: '' };
    child.stdout.on('data', (chunk: Buffer) => (told.out += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (told.error += chunk.toString()));
    child.stdin.on('error', () => undefined);
    const closed = once(child, 'close').then(([code]) => code as number | null);
    onTestFinished(async () => {
      child.kill();
      await closed;
    });
    return { child, told, closed };
  };
  const freePort = async (): Promise<number> => {
    const server = createServer();
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    await new Promise((resolve) => server.close(resolve));
    return port;
  };
  const read = (port: number): Promise<string> =>
    new Promise((resolve) => {
      let text = '';
      const socket = connect(port, '127.0.0.1');
      socket.setTimeout(20_000, () => socket.destroy());
      socket.on('data', (chunk: Buffer) => {
        text += chunk.toString();
        if (text.includes('\n')) socket.destroy();
      });
      socket.on('error', () => undefined);
      socket.on('close', () => {
        resolve(text);
      });
    });
  const answers = (port: number, what: string) =>
    until(`${what} on ${port}`, async () => ((await read(port)).includes(what) ? true : undefined), 20_000);
  const serve = async (onSocket: (socket: Socket) => void): Promise<number> => {
    const server = createServer(onSocket);
    await once(server.listen(0, '127.0.0.1'), 'listening');
    onTestFinished(() => void server.close());
    return (server.address() as AddressInfo).port;
  };

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-clients-'));
    await must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', own('key')]);
    installation = await TestInstallation.make({ poolGiB: 20 });
    await installation.up();
    await installation.mustPoolhouse('users', 'add', 'alice', '--ssh-key', own('key.pub'));
    await installation.mustPoolhouse(
      ...['deploy', '-g', 'team', '-f', join(repository, 'test/e2e/nat-pool.json'), '-p', 'adminUsername=azure'],
      ...['-p', 'adminPassword=Base-Image-Pass-1', '-p', 'instanceCount=1', '--json'],
    );
    address = await until('the pool is there', async () => {
      const { instances, frontEnds } = await installation.pool('nat');
      return instances.some((one) => one.inRotation) ? frontEnds[0]?.address : undefined;
    });
    await must('ssh', [...options(), alice(), 'mkdir -p .ssh && cat >> .ssh/authorized_keys'], {
      input: await readFile(own('key.pub'), 'utf8'),
    });
  });
  afterAll(async () => {
    await installation.destroy();
    await rm(folder, { recursive: true, force: true });
  });

  describe('OpenSSH', () => {
    it('sftp puts, renames, lists and gets', async () => {
      await writeFile(own('there'), 'x'.repeat(3_000_000));
      const batch = `put ${own('there')} one\nrename one two\nls -l two\nget two ${own('back')}\nrm two\n`;
      const { exitCode, stdout } = await run('sftp', [...options(), '-b', '-', alice()], { input: batch });
      expect({ exitCode, listed: /3000000.*two/.test(stdout) }).toEqual({ exitCode: 0, listed: true });
      await must('cmp', [own('there'), own('back')]);
    });

    it('-J goes on from the machine', async () => {
      // What is behind is the machine's own sshd, by a key that alice put there herself.
      const shell = ['ssh', ...options()].join(' ');
      const jumped = await ssh('-o', `ProxyCommand=${shell} -W %h:%p ${alice()}`, 'alice@localhost', 'hostname');
      expect(jumped).toMatchObject({ exitCode: 0, stdout: (await ssh(alice(), 'hostname')).stdout });
      await writeFile(
        own('config'),
        `Host *\n IdentityFile ${own('key')}\n BatchMode yes\n UserKnownHostsFile ${own('known')}\n StrictHostKeyChecking accept-new\n LogLevel ERROR\n`,
      );
      expect(await run('ssh', ['-F', own('config'), '-J', alice(), 'alice@localhost', 'id -un'])).toMatchObject({
        exitCode: 0,
        stdout: 'alice\n',
      });
    });

    it('-L and -D lead into the machine', async () => {
      const [local, socks] = [await freePort(), await freePort()];
      const { child } = start('ssh', [
        ...[...options(), '-N', '-L', `${local}:127.0.0.1:22`, '-D', `127.0.0.1:${socks}`],
        alice(),
      ]);
      await answers(local, 'SSH-2.0-OpenSSH');
      const web = start('ssh', [...options(), '-tt', alice(), 'cd /etc; python3 -m http.server 8099']);
      await until('it serves', async () => (web.told.out.includes('Serving') ? true : undefined));
      const proxied = await run('curl', [
        ...['-sS', '--max-time', '20', '--socks5-hostname', `127.0.0.1:${socks}`, 'http://localhost:8099/hostname'],
      ]);
      expect(proxied.stdout).toBe((await ssh(alice(), 'hostname')).stdout);
      child.kill();
    });

    it('-R leads out of the machine, to ports and to sockets, and ends when it is taken back', async () => {
      const port = await serve((socket) => socket.end('from the laptop\n'));
      const viaPort = await ssh('-R', `18080:127.0.0.1:${port}`, alice(), 'cat < /dev/tcp/127.0.0.1/18080');
      expect(viaPort).toMatchObject({ exitCode: 0, stdout: 'from the laptop\n' });
      const python = `python3 -c 'import socket; s = socket.socket(socket.AF_UNIX); s.connect("/tmp/alice.sock"); print(s.recv(99).decode(), end="")'`;
      const viaSocket = await ssh('-R', `/tmp/alice.sock:127.0.0.1:${port}`, alice(), python);
      expect(viaSocket).toMatchObject({ exitCode: 0, stdout: 'from the laptop\n' });
      expect(await ssh(alice(), 'cat < /dev/tcp/127.0.0.1/18080')).not.toMatchObject({ exitCode: 0 });
    });

    it('ControlMaster has a hundred channels at once in one connection', async () => {
      const control = ['-o', `ControlPath=${own('control')}`];
      const master = start('ssh', [...options(), ...control, '-M', '-N', alice()]);
      await until('the master is there', async () =>
        (await run('ssh', [...control, '-O', 'check', alice()])).exitCode === 0 ? true : undefined,
      );
      const many = await Promise.all(
        Array.from({ length: 100 }, (_, index) => ssh(...control, alice(), `sleep 1; echo ${index}`)),
      );
      expect(many.map(({ stdout }) => stdout)).toEqual(Array.from({ length: 100 }, (_, index) => `${index}\n`));
      const port = await serve((socket) => socket.end('later\n'));
      await must('ssh', [...control, '-O', 'forward', '-R', `18081:127.0.0.1:${port}`, alice()]);
      expect(await ssh(...control, alice(), 'cat < /dev/tcp/127.0.0.1/18081')).toMatchObject({ stdout: 'later\n' });
      expect((await installation.pool('nat')).instances[0]?.sessions).toBe(1);
      await must('ssh', [...control, '-O', 'exit', alice()]);
      await master.closed;
    });

    it('forwards the agent, and only where that was asked for', async () => {
      const agent = start('ssh-agent', ['-D', '-a', own('agent')]);
      await until('the agent is there', async () => (agent.told.out === '' ? undefined : true));
      const env = { ...process.env, SSH_AUTH_SOCK: own('agent') };
      await must('ssh-add', ['-q', own('key')], { env });
      const fingerprint = (await must('ssh-keygen', ['-lf', own('key.pub')])).split(' ')[1];
      const listed = await run('ssh', [...options(), '-A', alice(), 'ssh-add -l'], { env });
      expect(listed.stdout).toContain(fingerprint);
      // And on from there, by nothing but the agent.
      const further = `ssh -o StrictHostKeyChecking=no -o LogLevel=ERROR alice@localhost id -un`;
      expect(await run('ssh', [...options(), '-A', alice(), further], { env })).toMatchObject({ stdout: 'alice\n' });
      expect(await run('ssh', [...options(), '-a', alice(), 'ssh-add -l'], { env })).toMatchObject({ stdout: '' });
    });

    it('shows windows of X11 programs, with a cookie of its own', async () => {
      const asked = Promise.withResolvers<Buffer>();
      const server = createServer((socket) => {
        socket.once('data', (chunk: Buffer) => {
          asked.resolve(chunk);
          socket.end('X11 is here\n');
        });
      });
      let display = 40;
      for (; display < 90; display += 1) {
        const isFree = await new Promise<boolean>((resolve) => {
          server.once('error', () => {
            resolve(false);
          });
          server.listen(6000 + display, '127.0.0.1', () => {
            resolve(true);
          });
        });
        if (isFree) break;
      }
      onTestFinished(() => void server.close());
      const cookie = '00112233445566778899aabbccddeeff';
      const env = { ...process.env, DISPLAY: `127.0.0.1:${display}`, XAUTHORITY: own('xauthority') };
      await must('xauth', ['add', `127.0.0.1:${display}`, 'MIT-MAGIC-COOKIE-1', cookie], { env });
      // What any program does first: it shows the cookie that stands in ~/.Xauthority there.
      const program = `python3 - <<'END'
import os, socket, struct, subprocess
host, number = os.environ["DISPLAY"].split(":")
cookie = bytes.fromhex(subprocess.check_output(["xauth", "list", os.environ["DISPLAY"]]).split()[-1].decode())
name = b"MIT-MAGIC-COOKIE-1"
s = socket.create_connection(("localhost", 6000 + int(number.split(".")[0])))
s.sendall(struct.pack("<BxHHHHxx", ord("l"), 11, 0, len(name), len(cookie)) + name + b"\\0\\0" + cookie)
print(s.recv(99).decode(), end="")
print(cookie.hex())
END`;
      const { stdout, stderr } = await run('ssh', [...options(), '-Y', alice(), program], { env });
      expect(stdout, stderr).toContain('X11 is here\n');
      expect(stdout).not.toContain(cookie);
      expect((await asked.promise).includes(Buffer.from(cookie, 'hex'))).toBe(true);
      expect(await run('ssh', [...options(), '-x', alice(), 'echo "[$DISPLAY]"'], { env })).toMatchObject({
        stdout: '[]\n',
      });
    });
  });

  it('rsync brings a tree there, what has changed, and away what is gone', async () => {
    await mkdir(own('tree/inner'), { recursive: true });
    for (let count = 0; count < 50; count += 1) await writeFile(own(`tree/inner/${count}`), String(count));
    const sync = (from: string, to: string) =>
      must('rsync', ['-a', '--delete', '-e', ['ssh', ...options()].join(' '), from, to]);
    await sync(`${own('tree')}/`, `${alice()}:tree/`);
    await rm(own('tree/inner/7'));
    await writeFile(own('tree/inner/8'), 'changed');
    await sync(`${own('tree')}/`, `${alice()}:tree/`);
    await sync(`${alice()}:tree/`, own('again/'));
    await must('diff', ['-r', own('tree'), own('again')]);
  });

  it('sshfs mounts the home', async () => {
    await mkdir(own('mounted'));
    const chosen = ['-o', `IdentityFile=${own('key')},UserKnownHostsFile=${own('known')},BatchMode=yes`];
    await must('sshfs', [...chosen, `${alice()}:`, own('mounted')]);
    try {
      await writeFile(own('mounted/note'), 'written here');
      expect(await ssh(alice(), 'cat note; mv note moved')).toMatchObject({ stdout: 'written here' });
      await until('it is seen', async () => readFile(own('mounted/moved'), 'utf8').catch(() => undefined));
    } finally {
      await must('fusermount3', ['-u', own('mounted')]);
    }
  });

  it('plink and psftp of PuTTY', async () => {
    await must('puttygen', [own('key'), '-O', 'private', '-o', own('key.ppk')]);
    const hostKey = (await must('ssh-keygen', ['-lf', own('known')])).split('\n').map((line) => line.split(' ')[1]);
    const putty = ['-batch', '-i', own('key.ppk'), ...hostKey.flatMap((one) => (one ? ['-hostkey', one] : []))];
    expect(await run('plink', [...putty, alice(), 'id -un; exit 5'])).toMatchObject({ exitCode: 5, stdout: 'alice\n' });
    await writeFile(own('script'), `put ${own('key.pub')} by-putty\nls\nrm by-putty\n`);
    const copied = await run('psftp', [...putty, '-b', own('script'), alice()]);
    expect(copied).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/by-putty/) as string });
  });

  it('dbclient of dropbear', async () => {
    await must('dropbearconvert', ['openssh', 'dropbear', own('key'), own('key.dropbear')]);
    const env = { ...process.env, HOME: folder };
    const result = await run('dbclient', ['-y', '-i', own('key.dropbear'), alice(), 'id -un; exit 5'], { env });
    expect(result).toMatchObject({ exitCode: 5, stdout: 'alice\n' });
  });

  it.each(['paramiko', 'asyncssh'])('%s', async (library) => {
    const script = join(repository, 'test/e2e/ssh-clients.py');
    const result = await run('/usr/bin/python3', ['-W', 'ignore', script, library, address, 'alice', own('key')]);
    expect(result).toMatchObject({ exitCode: 0, stdout: 'well\n' });
  });

  it('VS Code: a script on stdin with a SOCKS port beside it, and a second connection that finds what the first started', async () => {
    const port = await freePort();
    const first = start('ssh', [...options(), '-T', '-D', String(port), alice(), 'bash']);
    first.child.stdin.write(`echo "1f0c: running"
python3 - <<'END' > ~/.vscode-port &
import socket, sys
server = socket.create_server(("127.0.0.1", 0))
print(server.getsockname()[1], flush=True)
while True:
    peer, _ = server.accept()
    peer.sendall(b"server of the editor\\n")
    peer.close()
END
while [ ! -s ~/.vscode-port ]; do sleep 0.1; done
echo "1f0c: start"; echo "listeningOn==$(cat ~/.vscode-port)=="; echo "hostname==$(hostname)=="; echo "1f0c: end"
`);
    await until('it has started', async () => (first.told.out.includes('1f0c: end') ? true : undefined));
    const { out } = first.told;
    expect(out.startsWith('1f0c: running\n')).toBe(true);
    expect(first.told.error).toBe('');
    const editor = /listeningOn==(\d+)==/.exec(out)?.[1] ?? '';
    const proxied = await run('curl', [
      ...['-sS', '--http0.9', '--max-time', '20', '--socks5', `127.0.0.1:${port}`, `http://127.0.0.1:${editor}/`],
    ]);
    expect(proxied.stdout).toBe('server of the editor\n');
    const second = await ssh('-T', alice(), `hostname; cat < /dev/tcp/127.0.0.1/${editor}`);
    expect(second.stdout).toBe(`${/hostname==(.*)==/.exec(out)?.[1] ?? ''}\nserver of the editor\n`);
    first.child.stdin.end('kill %1\n');
    expect(await first.closed).toBe(0);
  });

  it('passwd and keys by the front door itself, and what they change counts at once', async () => {
    await must('ssh-keygen', ['-q', '-t', 'ecdsa', '-N', '', '-f', own('second')]);
    const more = await run('ssh', [...options(), alice(), 'keys add'], {
      input: await readFile(own('second.pub'), 'utf8'),
    });
    expect(more).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^Added: SHA256:/) as string });
    const bySecond = [...options().map((one) => (one === own('key') ? own('second') : one)), alice()];
    await until('the second key lets in', async () =>
      (await run('ssh', [...bySecond, 'true'])).exitCode === 0 ? true : undefined,
    );
    const fingerprint = (await must('ssh-keygen', ['-lf', own('second.pub')])).split(' ')[1] ?? '';
    expect(await ssh(alice(), `keys remove ${fingerprint}`)).toMatchObject({ exitCode: 0 });
    await until('it does so no more', async () =>
      (await run('ssh', [...bySecond, 'true'])).exitCode === 255 ? true : undefined,
    );
    const chosen = await run('ssh', [...options(), alice(), 'passwd --stdin'], { input: 'A-Battery-Staple-9\n' });
    expect(chosen).toMatchObject({ exitCode: 0 });
    const byPassword = ['-F', 'none', '-o', `UserKnownHostsFile=${own('known')}`, '-o', 'PubkeyAuthentication=no'];
    await until('the password lets in', async () => {
      const env = { ...process.env, SSHPASS: 'A-Battery-Staple-9' };
      return (await run('sshpass', ['-e', 'ssh', ...byPassword, alice(), 'true'], { env })).exitCode === 0
        ? true
        : undefined;
    });
    const logs = await readFile(join(installation.home, 'logs', 'control.log'), 'utf8');
    expect(logs).toContain('"by":"alice, over ssh from 127.');
    const all = logs + (await readFile(join(installation.home, 'logs', 'gateway.log'), 'utf8'));
    expect(all).not.toContain('Battery');
  });

  it('a certificate that forces a command runs that one, and says what was asked for', async () => {
    // The gateway's side of it is tested beside the gateway; here, that the machine's sshd keeps to it.
    await must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', own('authority')]);
    await must('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', own('robot')]);
    await must('ssh-keygen', [
      ...['-q', '-s', own('authority'), '-I', 'robot', '-n', 'alice', '-O', 'clear', '-V', '+10m'],
      ...['-O', 'force-command=echo forced: $SSH_ORIGINAL_COMMAND', own('robot.pub')],
    ]);
    const line = (await readFile(own('authority.pub'), 'utf8')).trim();
    const config = { poolGiB: 20, userAuthorities: [line] };
    await writeFile(join(installation.home, 'config.json'), JSON.stringify(config));
    await installation.mustPoolhouse('up');
    const robot = options().map((one) => (one === own('key') ? own('robot') : one));
    const result = await until('it lets in', async () => {
      const tried = await run('ssh', [...robot, alice(), 'rm -rf /']);
      return tried.exitCode === 0 ? tried : undefined;
    });
    expect(result.stdout).toBe('forced: rm -rf /\n');
  });

  it(`${crowd} people at once, each as themselves`, async () => {
    const arm = await installation.arm();
    const key = await readFile(own('key.pub'), 'utf8');
    // A session of systemd's for each of them: that is more than the memory of one small machine.
    const set = `/subscriptions/${arm.subscriptionId}/resourcegroups/team/providers/Microsoft.Compute/virtualMachineScaleSets/nat`;
    await arm.send('PATCH', set, { sku: { capacity: machines } });
    const names = Array.from({ length: crowd }, (_, index) => `person${index}`);
    for (const name of names)
      await arm.send('PUT', `/providers/Poolhouse.Identity/users/${name}`, { properties: { sshKeys: [key] } });
    await until('the last of them is there', async () =>
      (await run('ssh', [...options(), `person${crowd - 1}@${address}`, 'id -un'])).exitCode === 0 ? true : undefined,
    );
    await until('all machines are there', async () => {
      const { instances } = await installation.pool('nat');
      return instances.filter((one) => one.inRotation).length === machines ? true : undefined;
    });
    const began = Date.now();
    const results = await Promise.all(names.map((name) => ssh(`${name}@${address}`, 'id -un; sleep 2')));
    process.stderr.write(`${crowd} people at once: ${Date.now() - began} ms\n`);
    expect(results.map(({ stdout, stderr }) => stdout + stderr)).toEqual(names.map((name) => `${name}\n`));
  });
});
