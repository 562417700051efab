/** People at the front door with a browser: one sign-in, then the JupyterHub of their machine, files and programs. */
import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { missingForSystemTests, must, repository, run, ssh, TestInstallation, until } from './installation.ts';
import { JupyterClient } from './jupyter-client.ts';
import { residentKilobytes } from '../bench/process-figures.ts';

const missing = await missingForSystemTests(['sshpass', 'nft', 'mmdebstrap', 'curl']);
const admin = 'azure';
const password = 'Correct-Horse-7';
const key = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ0dqOPMA8xJT4Nr8tqV0Z9EEiOTjFCgZxT1n8PVyLZ somebody';

describe.skipIf(missing !== undefined)(
  `notebooks by the front door${missing === undefined ? '' : ` (left out: ${missing})`}`,
  () => {
    let installation: TestInstallation;
    let address: string;
    let alice: JupyterClient;

    beforeAll(async () => {
      installation = await TestInstallation.make({ poolGiB: 30 });
      await installation.mustPoolhouse('up');
      for (const name of ['alice', 'bob'])
        await must(join(repository, 'bin', 'poolhouse'), ['users', 'add', name, '--password-stdin'], {
          env: installation.env,
          input: password,
        });
      await installation.mustPoolhouse(
        ...['deploy', '-g', 'team', '-f', join(repository, 'examples/shared-pool/template.json')],
        ...['-p', `adminUsername=${admin}`, '-p', `adminPassword=${password}`, '-p', `adminPublicKey=${key}`],
        ...['-p', 'instanceCount=2'],
      );
      address = (await installation.pool('sharedpool')).frontEnds[0]?.address ?? '';
      alice = new JupyterClient(address, '127.0.0.1');
    });
    afterAll(() => installation.destroy());

    const bodyOf = (name: string, content: string) =>
      JSON.stringify({ type: 'file', format: 'base64', name, path: name, content });

    it('shows a certificate of our own authority for the address of the pool', async () => {
      const page = await must('curl', [
        ...['-s', '--cacert', join(installation.home, 'certificates', 'ca.pem')],
        `https://${address}:8000/poolhouse/signin`,
      ]);
      expect(page).toMatch(/type="password"/);
    });

    it('signs a person in once, and runs a cell on a machine where no password of theirs is', async () => {
      expect((await alice.signIn('alice', 'not-the-password')).status).toBe(403);
      expect((await alice.signIn('alice', password)).status).toBe(303);
      await alice.startServer('alice');
      expect((await alice.runCell('alice', 'import getpass; print(getpass.getuser(), 6 * 7)')).trim()).toBe('alice 42');
    });

    it('brings the same person to the same machine by ssh', async () => {
      const there = (await alice.runCell('alice', 'import socket; print(socket.gethostname())')).trim();
      expect((await ssh(password, 'alice', address, 'hostname')).stdout.trim()).toBe(there);
    });

    it('opens a terminal', async () => {
      expect(await alice.runInTerminal('alice', 'echo $((6 * 7))-$(id -un)', /42-alice/)).toContain('42-alice');
    });

    it('takes a file and gives it back', async () => {
      const content = randomBytes(3_000_000);
      const put = await alice.send(
        'PUT',
        '/user/alice/api/contents/big.bin',
        bodyOf('big.bin', content.toString('base64')),
      );
      expect(put.status).toBe(201);
      const got = await alice.send('GET', '/user/alice/api/contents/big.bin?format=base64');
      const { content: back } = JSON.parse(got.text) as { content: string };
      expect(Buffer.from(back, 'base64').equals(content)).toBe(true);
    });

    it('brings a gigabyte, whole, and keeps none of it', async () => {
      const lines = [
        'import hashlib, os',
        'piece = os.urandom(1 << 20)',
        'whole = hashlib.sha256()',
        'with open("/home/alice/notebooks/gigabyte.bin", "wb") as file:',
        '    for turn in range(1024):',
        '        file.write(piece); whole.update(piece)',
        'print(whole.hexdigest())',
      ];
      const expected = (await alice.runCell('alice', lines.join('\n'))).trim();
      const gateway = (await installation.status()).gateway.pid ?? 0;
      const before = await residentKilobytes(gateway);
      const hash = createHash('sha256');
      let highest = before;
      let size = 0;
      const coming = await alice.download('/user/alice/files/gigabyte.bin');
      expect(coming.statusCode).toBe(200);
      for await (const chunk of coming as AsyncIterable<Buffer>) {
        hash.update(chunk);
        size += chunk.length;
        if (size % (1 << 24) < chunk.length) highest = Math.max(highest, await residentKilobytes(gateway));
      }
      expect([size, hash.digest('hex')]).toEqual([2 ** 30, expected]);
      process.stderr.write(`a gigabyte: the gateway grew by ${String(Math.round((highest - before) / 1024))} MB\n`);
      expect(highest - before).toBeLessThan(512 * 1024); // half of it, in kB
    });

    it('lets nobody into the pages of another', async () => {
      const bob = new JupyterClient(address, '127.0.0.1');
      await bob.signIn('bob', password);
      expect((await bob.send('GET', '/user/alice/api/contents')).status).toBe(403);
      expect((await bob.visit('/hub/home')).text).toContain('bob');
    });

    it('lets the admin user of the template in', async () => {
      const browser = new JupyterClient(address, '127.0.0.1');
      expect((await browser.signIn(admin, password)).status).toBe(303);
      await browser.startServer(admin);
      expect((await browser.runCell(admin, 'print(6 * 7)')).trim()).toBe('42');
    });

    it('counts who is there, and ends what is signed in when somebody is disabled', async () => {
      expect((await alice.send('GET', '/hub/api/user')).status).toBe(200);
      await installation.mustPoolhouse('users', 'set', 'alice', '--disable');
      await until('she is out', async () =>
        (await alice.send('GET', '/user/alice/api/contents')).status === 200 ? undefined : true,
      );
      expect((await new JupyterClient(address, '127.0.0.1').signIn('alice', password)).status).toBe(403);
    });

    it('serves a home that is the same on every machine, with what databases need on the machine’s own disk', async () => {
      await must(join(repository, 'bin', 'poolhouse'), ['users', 'add', 'carol', '--password-stdin'], {
        env: installation.env,
        input: password,
      });
      const { id } = await installation.pool('sharedpool');
      const arm = await installation.arm();
      await arm.send('PATCH', `${id}?api-version=2023-09-01`, { tags: { 'poolhouse-survives': 'home' } });
      const browser = new JupyterClient(address, '127.0.0.1');
      await browser.signIn('carol', password);
      await browser.startServer('carol');
      const about = [
        'import os, socket; print(socket.gethostname(), os.path.ismount("/home/carol"))',
        'print(get_ipython().history_manager.hist_file, os.environ["JUPYTER_RUNTIME_DIR"], flush=True)',
        'print(os.path.exists("/home/carol/from-browser"))',
      ].join('\n');
      const first = (await browser.runCell('carol', about)).trim().split(/\s+/);
      const local = '/var/lib/poolhouse-local/carol';
      expect(first.slice(1)).toEqual(['True', `${local}/ipython/history.sqlite`, `${local}/jupyter-runtime`, 'False']);
      const put = await browser.send(
        'PUT',
        '/user/carol/api/contents/remote/from-browser',
        bodyOf('from-browser', 'eA=='),
      );
      expect(put.status).toBe(201);
      expect(await browser.runInTerminal('carol', 'cat ~/from-browser; echo -$((6 * 7))', /x-42/)).toContain('x-42');
      const machine = (await installation.pool('sharedpool')).instances.find(({ name }) => name === first[0]);
      await arm.send('POST', `${id}/delete?api-version=2023-09-01`, { instanceIds: [machine?.instanceId ?? ''] });
      await until('her machine is gone', async () =>
        (await installation.pool('sharedpool')).instances.some(({ name }) => name === first[0]) ? undefined : true,
      );
      const again = new JupyterClient(address, '127.0.0.1');
      await again.signIn('carol', password);
      await again.startServer('carol');
      const second = (await again.runCell('carol', about)).trim().split(/\s+/);
      expect(second[0]).not.toBe(first[0]);
      expect(second.slice(1)).toEqual([...first.slice(1, -1), 'True']);
    });

    it('has a hub that believes nobody but the gateway', async () => {
      const [instance] = (await installation.pool('sharedpool')).instances;
      const hub = `http://${instance?.address ?? ''}:8000`;
      const asked = async (...headers: string[]) =>
        (
          await run('curl', [
            ...['-s', '-o', '/dev/null', '-w', '%{http_code}', '--max-time', '10'],
            ...headers.flatMap((header) => ['-H', header]),
            `${hub}/hub/poolhouse-login`,
          ])
        ).stdout;
      expect(await asked()).toBe('403');
      expect(await asked('X-Poolhouse-Assertion: eyJhbGciOiJub25lIn0.e30.')).toBe('403');
    });
  },
);
