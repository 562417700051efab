/**
 * Somebody is root inside an instance, and hostile: every port and address of ours is tried, every address that is not
 * theirs is put on, the door is beaten at, the share is laid with traps. What must not work does not, and the log tells.
 */
import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, readlink, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, connect } from 'node:net';
import { networkInterfaces, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { arpReply, ethernet, everybody, ipv4, routerAdvertisement, tagged, udp } from './frames.ts';
import { missingForSystemTests, must, repository, run, ssh, TestInstallation, until } from './installation.ts';
import { poolPassword, poolResources, poolUser } from './pool-resources.ts';

const missing = await missingForSystemTests([
  'nft',
  'sshpass',
  'mmdebstrap',
  'curl',
  'ip',
  'bridge',
  'nsenter',
  'python3',
]);
const group = 'team';
const tool = join(repository, 'test', 'e2e', 'hostile-root.py');

interface Machine {
  /** Its name in the engine, and in our logs. */
  name: string;
  hostname: string;
  address: string;
  mac: string;
  /** The host's end of its network. */
  port: string;
  /** Its first process, as this host sees it. */
  pid: number;
}
interface Scan {
  open: number[];
  refused: number[];
  unreachable: number[];
}
interface Said {
  status: number;
  body: { error?: { code: string; message: string }; mountError?: number };
}

describe.skipIf(missing !== undefined)(
  `a hostile root inside an instance${missing === undefined ? '' : ` (left out: ${missing})`}`,
  () => {
    let installation: TestInstallation;
    let id: string;
    let bridge: string;
    let gateway: { address: string; mac: string };
    let frontEnd: string;
    /** The hostile one, and who shares the host and the share with it. */
    let hostile: Machine;
    let other: Machine;

    /** As root inside. */
    const root = (machine: Machine, command: string, input = '') =>
      ssh(poolPassword, poolUser, machine.address, `sudo ${command}`, [], input);
    const shell = async (machine: Machine, script: string) => root(machine, 'bash -s', script);
    async function tries<T>(what: string, argument: string): Promise<T> {
      // The argument goes by a file: it may be longer than a command line.
      const text = `import sys; sys.argv = ["", ${JSON.stringify(what)}, ${JSON.stringify(argument)}]\n${await readFile(tool, 'utf8')}`;
      const result = await root(hostile, 'python3 -', text);
      expect(result, result.stderr).toMatchObject({ exitCode: 0 });
      return JSON.parse(result.stdout) as T;
    }
    const log = () => readFile(join(installation.home, 'logs', 'control.log'), 'utf8');
    const linesAbout = async (machine: Machine, words: RegExp) =>
      (await log()).split('\n').filter((line) => words.test(line) && line.includes(`"instance":"${machine.name}"`));
    const engine = async (path: string) => {
      const socket = ['/var/lib/incus/unix.socket', '/var/lib/lxd/unix.socket'].find((one) => existsSync(one)) ?? '';
      return (
        JSON.parse(await must('curl', ['-s', '--unix-socket', socket, `http://d${path}`])) as { metadata: unknown }
      ).metadata;
    };
    const project = () => `poolhouse-${id}`;

    async function machines(): Promise<Machine[]> {
      const all = (await engine(`/1.0/instances?recursion=2&project=${project()}`)) as {
        name: string;
        config: Record<string, string>;
        devices: Record<string, Record<string, string>>;
        state: { pid: number; network: Record<string, { hwaddr: string }> | null };
      }[];
      return all
        .filter((one) => !one.name.startsWith('seed-'))
        .map((one) => ({
          name: one.name,
          hostname: one.config['user.poolhouse.hostname'] ?? '',
          address: one.devices['eth0']?.['ipv4.address'] ?? '',
          mac: one.state.network?.['eth0']?.hwaddr ?? '',
          port: one.devices['eth0']?.['host_name'] ?? '',
          pid: one.state.pid,
        }))
        .toSorted((a, b) => a.name.localeCompare(b.name));
    }

    beforeAll(async () => {
      const folder = await mkdtemp(join(tmpdir(), 'poolhouse-hostile-'));
      const share = (account: string, name: string) => ({
        type: 'Microsoft.Storage/storageAccounts/fileServices/shares',
        apiVersion: '2022-09-01',
        name: `${account}/default/${name}`,
        dependsOn: [`[resourceId('Microsoft.Storage/storageAccounts', '${account}')]`],
        properties: { shareQuota: 1 },
      });
      const account = (name: string) => ({
        type: 'Microsoft.Storage/storageAccounts',
        apiVersion: '2022-09-01',
        name,
        location: 'westeurope',
        kind: 'StorageV2',
        sku: { name: 'Standard_LRS' },
        properties: {},
      });
      // A script that keeps its credentials, as many do: for the next boot.
      const line = '//teamfiles.file.core.windows.net/files /mnt/files cifs username=teamfiles,password=KEY 0 0';
      const command = `mkdir -p /mnt/files; echo "${line}" >> /etc/fstab; mount -a -t cifs`;
      const key = "listKeys(resourceId('Microsoft.Storage/storageAccounts', 'teamfiles'), '2022-09-01').keys[0].value";
      const template = JSON.stringify({
        $schema: 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#',
        contentVersion: '1.0.0.0',
        resources: [
          account('teamfiles'),
          share('teamfiles', 'files'),
          share('teamfiles', 'private'),
          account('otherfiles'),
          share('otherfiles', 'files'),
          ...poolResources({
            name: 'red',
            capacity: 2,
            command,
            natPorts: true,
            dependsOn: [
              "[resourceId('Microsoft.Storage/storageAccounts/fileServices/shares', 'teamfiles', 'default', 'files')]",
            ],
          }),
        ],
      }).replace('KEY', `', ${key}, '`);
      await writeFile(join(folder, 'template.json'), template);
      installation = await TestInstallation.make({ poolGiB: 30 });
      await installation.up();
      await installation.mustPoolhouse('deploy', '-g', group, '-f', join(folder, 'template.json'));
      await rm(folder, { recursive: true });

      id = (await installation.id()) ?? '';
      bridge = `ph${id}`;
      const pool = await installation.pool('red');
      frontEnd = pool.frontEnds[0]?.address ?? '';
      const [first, second] = await machines();
      if (first === undefined || second === undefined) throw new Error('The pool has no two instances.');
      [hostile, other] = [first, second];
      const own = networkInterfaces()[bridge]?.find((one) => one.family === 'IPv4');
      gateway = { address: own?.address ?? '', mac: own?.mac ?? '' };
    });
    afterAll(async () => {
      await installation.destroy();
    });

    it('finds no port of the host at any of its addresses but DNS, and none of another instance', async () => {
      const reaches = (address: string, port: number) =>
        new Promise<boolean>((resolve) => {
          const socket = connect({ host: address, port, timeout: 2_000 });
          socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
          socket.once('timeout', () => resolve(false)).once('close', () => socket.destroy());
          socket.once('connect', () => socket.destroy());
        });
      // What there is to be found: a service of the host's on all addresses, our own ports, another's sshd.
      const service = createServer((socket) => socket.destroy()).listen({ host: '0.0.0.0', port: 0 });
      await once(service, 'listening');
      const { port } = service.address() as { port: number };
      const { api, monitors } = await installation.ports();
      expect(monitors).toHaveLength(2);
      const inner = await innerPorts();
      expect(inner).toHaveLength(2);
      expect(
        await Promise.all([
          reaches(gateway.address, port),
          ...[api, ...monitors].map((one) => reaches('127.0.0.1', one)),
          reaches(frontEnd, 50_000),
          reaches(other.address, 22),
        ]),
      ).not.toContain(false);

      const elsewhere = Object.values(networkInterfaces())
        .flatMap((list) => list ?? [])
        .filter((one) => one.family === 'IPv4' && one.address !== gateway.address)
        .map((one) => one.address)
        .slice(0, 3); // a second for each: a host may have many
      const byHost = [...new Set([gateway.address, ...elsewhere, '127.0.0.1', frontEnd])];
      try {
        const found = await tries<Record<string, Scan>>(
          'scan',
          JSON.stringify([
            ...byHost.map((address) => ({ address, mac: gateway.mac, udp: address === gateway.address })),
            // The other instance: as a neighbour, and by way of the host.
            { address: other.address, mac: other.mac },
            { address: other.address, mac: gateway.mac },
          ]),
        );
        const nothing: Scan = { open: [], refused: [], unreachable: [] };
        expect(found).toEqual({
          ...Object.fromEntries([...byHost, other.address].map((address) => [address, nothing])),
          [gateway.address]: { ...nothing, open: [53] },
        });
      } finally {
        service.close();
      }
    });

    /** Ports that the gateway listens on, behind the public ones. */
    async function innerPorts(): Promise<number[]> {
      const table = await must('nft', ['list', 'set', 'inet', `poolhouse_${id}`, 'inner_ports']);
      return (/elements = \{([^}]*)\}/.exec(table)?.[1] ?? '').split(',').map(Number);
    }

    it('reaches neither a cloud’s metadata nor instances of another installation, and the log names who tried', async () => {
      // Another installation’s network, and one that is none: only the name of the interface tells them apart.
      const places = [`ph${String(process.pid)}`, `xx${String(process.pid)}`].map((name, index) => ({
        name,
        address: `198.18.${String(200 + index)}`,
      }));
      const listeners = [];
      try {
        for (const { name, address } of places) {
          await must('ip', ['netns', 'add', name]);
          await must('ip', ['link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}f`, 'netns', name]);
          await must('ip', ['addr', 'add', `${address}.1/30`, 'dev', name]);
          await must('ip', ['link', 'set', name, 'up']);
          await must('ip', ['-n', name, 'addr', 'add', `${address}.2/30`, 'dev', `${name}f`]);
          await must('ip', ['-n', name, 'link', 'set', `${name}f`, 'up']);
          await must('ip', ['-n', name, 'route', 'add', 'default', 'via', `${address}.1`]);
          const serve = `require('net').createServer((s) => s.end('found\\n')).listen(8000, () => console.log('up'))`;
          const server = spawn('ip', ['netns', 'exec', name, process.execPath, '-e', serve]);
          listeners.push(server);
          await once(server.stdout, 'data');
        }
        const reach = (address: string, port: number) =>
          `timeout 3 bash -c 'exec 3<>/dev/tcp/${address}/${port} && read -r -t 2 l <&3; echo "$l"' 2>/dev/null || echo no\n`;
        const [ours, theirs] = places;
        const seen = await shell(
          hostile,
          [
            reach(`${theirs?.address ?? ''}.2`, 8_000),
            reach(`${ours?.address ?? ''}.2`, 8_000),
            reach('169.254.169.254', 80),
          ].join(''),
        );
        expect(seen.stdout.split('\n').slice(0, 3)).toEqual(['found', 'no', 'no']);
      } finally {
        for (const server of listeners) server.kill('SIGKILL');
        for (const { name } of places) {
          await run('ip', ['link', 'del', name]);
          await run('ip', ['netns', 'del', name]);
        }
      }
      const told = await until('the log tells', async () => {
        const lines = await linesAbout(hostile, /tried to reach what it may not/);
        return lines.length > 0 ? lines : undefined;
      });
      expect(told[0]).toContain('"level":40');
      expect(told[0]).toContain(`"address":"${hostile.address}"`);
      expect(await linesAbout(other, /tried to reach what it may not/)).toEqual([]);
    });

    it('is nobody but itself: no frame with another address gets anywhere', async () => {
      const text = (name: string) => `HOSTILE-${name}.`;
      const datagram = (from: string, to: string, name: string) => ipv4(from, to, 17, udp(4_000, 53, text(name)));
      const own = (to: string, name: string) => datagram(hostile.address, to, name);
      const toHost = (payload: Buffer, from = hostile.mac) => ethernet(gateway.mac, from, 0x0800, payload);
      const says = (mac: string, address: string, name: string, source = hostile.mac) =>
        ethernet(everybody, source, 0x0806, arpReply(mac, address, gateway, text(name)));
      const unused = gateway.address.replace(/\.\d+$/, '.250');
      const frames: Record<string, Buffer> = {
        own: toHost(own(gateway.address, 'own')),
        'own-arp': says(hostile.mac, hostile.address, 'own-arp'),
        'ip-of-other': toHost(datagram(other.address, gateway.address, 'ip-of-other')),
        'ip-of-host': toHost(datagram(gateway.address, gateway.address, 'ip-of-host')),
        'ip-of-nobody': toHost(datagram(unused, gateway.address, 'ip-of-nobody')),
        'ip-of-far': toHost(datagram('203.0.113.9', gateway.address, 'ip-of-far')),
        'ip-of-loopback': toHost(datagram('127.0.0.1', gateway.address, 'ip-of-loopback')),
        'mac-of-other': toHost(own(gateway.address, 'mac-of-other'), other.mac),
        'mac-of-host': toHost(own(gateway.address, 'mac-of-host'), gateway.mac),
        'mac-of-nobody': toHost(own(gateway.address, 'mac-of-nobody'), '02:00:00:00:00:99'),
        'arp-of-other': says(hostile.mac, other.address, 'arp-of-other'),
        'arp-of-host': says(hostile.mac, gateway.address, 'arp-of-host'),
        'arp-mac-of-other': says(other.mac, hostile.address, 'arp-mac-of-other'),
        vlan: tagged(toHost(own(gateway.address, 'vlan')), 1),
        'vlan-arp': tagged(says(hostile.mac, other.address, 'vlan-arp'), 1),
        'vlan-double': tagged(tagged(toHost(own(gateway.address, 'vlan-double')), 7), 8, 0x88a8),
        router: ethernet('33:33:00:00:00:01', hostile.mac, 0x86dd, routerAdvertisement(text('router'))),
        'neighbour-discovery': ethernet(everybody, hostile.mac, 0x88cc, Buffer.from(text('neighbour-discovery'))),
        'other-as-neighbour': ethernet(other.mac, hostile.mac, 0x0800, own(other.address, 'other-as-neighbour')),
      };
      /** These are honest about who sends them: the host may see them. What counts is the other instance. */
      const honest: Record<string, Buffer> = {
        'other-by-host': toHost(own(other.address, 'other-by-host')),
        'dhcp-offer': ethernet(
          everybody,
          hostile.mac,
          0x0800,
          ipv4(hostile.address, '255.255.255.255', 17, udp(67, 68, text('dhcp-offer'))),
        ),
        'dhcp-to-other': ethernet(
          other.mac,
          hostile.mac,
          0x0800,
          ipv4(hostile.address, other.address, 17, udp(67, 68, text('dhcp-to-other'))),
        ),
      };
      const atHost = await watch([], bridge);
      const atOther = await watch(['nsenter', '-t', String(other.pid), '-n'], 'eth0');
      await tries('forge', JSON.stringify(Object.values({ ...frames, ...honest }).map((one) => one.toString('hex'))));
      const sender = createSocket('udp4');
      await new Promise((resolve) => sender.send(text('from-host'), 4_001, other.address, resolve));
      sender.close();
      const seenByHost = await atHost.end();
      expect(seenByHost.filter((name) => !(name in honest) && name !== 'from-host')).toEqual(['own', 'own-arp']);
      expect(await atOther.end()).toEqual(['from-host']);
      // Nor has anybody learned from them: what is meant for the other goes to the other.
      expect(await must('ip', ['neigh', 'show', other.address, 'dev', bridge])).toContain(other.mac);
      const learned = await must('bridge', ['fdb', 'show', 'br', bridge]);
      expect(learned.split('\n').filter((line) => line.startsWith(other.mac) && !line.includes('permanent'))).toEqual([
        expect.stringContaining(`dev ${other.port} `),
      ]);
      expect(learned).not.toContain('02:00:00:00:00:99');
      expect(await must('ip', ['-6', 'route', 'show', 'dev', bridge])).not.toContain('default');
    });

    /** Who sees marked frames come in, from now to its end. */
    async function watch(within: string[], onInterface: string): Promise<{ end(): Promise<string[]> }> {
      // With `env` in front there is always a program, whatever stands within.
      const child = spawn('env', [...within, 'python3', tool, 'watch', onInterface], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      expect((await lines.next()).value).toBe('ready');
      return {
        async end() {
          child.stdin.end();
          return JSON.parse(String((await lines.next()).value)) as string[];
        },
      };
    }

    it('sees no socket but its own door, and none of the engine', async () => {
      const seen = await shell(
        hostile,
        [
          `find / -xdev -type s \\( -path '*poolhouse*' -o -path '*lxd*' -o -path '*incus*' \\) 2>/dev/null`,
          `ls -d /dev/lxd /dev/incus /run/poolhouse-${id} 2>/dev/null`,
          `grep -oE '@?[^ ]*(poolhouse|lxd|incus)[^ ]*' /proc/net/unix | sort -u`,
          `touch /var/lib/poolhouse/control/mine || chmod 777 /var/lib/poolhouse/control || echo not mine`,
          `mount -o remount,bind,rw /var/lib/poolhouse/control; touch /var/lib/poolhouse/control/mine || echo still not mine`,
          `su -s /bin/sh nobody -c 'curl -s --max-time 5 --unix-socket /var/lib/poolhouse/control/control.sock http://c/; echo $?'`,
        ].join('\n'),
      );
      expect(seen.stdout.split('\n')).toEqual(['not mine', 'still not mine', '7', '']);
    });

    it('gets nothing at its door but what it was given', async () => {
      const handleOf = async (machine: Machine) =>
        /password=(ph-[\w-]{43})/.exec((await shell(machine, 'cat /etc/fstab')).stdout)?.[1] ?? '';
      const [own, others] = [await handleOf(hostile), await handleOf(other)];
      expect(own).not.toBe('');
      expect(others).not.toBe('');
      expect(own).not.toBe(others);
      const http = (body: string, line = 'POST /v1/mounts') =>
        `${line} HTTP/1.1\r\nhost: c\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
      const mount = (changes: object) =>
        http(
          JSON.stringify({
            account: 'teamfiles',
            share: 'files',
            target: '/mnt/more',
            username: 'teamfiles',
            password: own,
            ...changes,
          }),
        );
      await shell(hostile, 'mkdir -p /mnt/more; ln -sfn /etc /mnt/link');
      const asked: [string, string, number][] = [
        ['another way', http('', 'GET /v1/status'), 404],
        ['another one’s name in the path', http('{}', `POST /v1/instances/${other.name}/mounts`), 404],
        ['no JSON', http('{"account"'), 400],
        ['another shape', http('[1, 2]'), 400],
        ['too much', mount({ target: `/${'x'.repeat(100_000)}` }), 413],
        ['no HTTP', 'nonsense\r\n\r\n', 0],
        ['the root', mount({ target: '/' }), 403],
        ['the system', mount({ target: '/etc' }), 403],
        ['the kernel', mount({ target: '/proc/self' }), 403],
        ['a way round', mount({ target: '/mnt/../etc' }), 403],
        ['a folder above the share', mount({ folder: '../private' }), 403],
        ['the handle of another instance', mount({ password: others }), 403],
        ['a share that the handle is not for', mount({ share: 'private' }), 403],
        ['an account that it is not for', mount({ account: 'otherfiles', username: 'otherfiles' }), 403],
        ['no key at all', mount({ password: '' }), 403],
        ['another instance', mount({ instance: other.name, target: '/mnt/more' }), 200],
      ];
      const said = await tries<Said[]>('door', JSON.stringify(asked.map(([, text]) => text)));
      expect(said.map((one, index) => [asked[index]?.[0], one.status])).toEqual(
        asked.map(([what, , status]) => [what, status]),
      );
      // Who asks is who owns the socket, whatever the request says.
      const shown = async (machine: Machine) =>
        (await shell(machine, 'grep -c " /mnt/more " /proc/self/mountinfo')).stdout;
      expect([await shown(hostile), await shown(other)]).toEqual(['1\n', '0\n']);
      expect(JSON.stringify(said)).not.toMatch(/\/var\/lib\/(lxd|incus)|\/run\/poolhouse|    at /);
      const lines = await linesAbout(hostile, /refused/);
      expect(lines.length).toBeGreaterThanOrEqual(14);
      for (const line of lines) expect(line).toContain('"level":40');
      for (const secret of [own, others]) expect(await log()).not.toContain(secret);
    });

    it('has to wait after refusals, and whoever else asks has not', async () => {
      const before = (await log()).length;
      const statuses = await tries<Record<string, number>>('flood', '2000');
      expect(Object.values(statuses).reduce((sum, count) => sum + count, 0)).toBe(2_000);
      expect(statuses['403'] ?? 0).toBeLessThanOrEqual(20);
      expect(statuses['200']).toBeUndefined();
      // Two thousand times in vain are no two thousand lines.
      expect((await log()).length - before).toBeLessThan(20_000);
      expect(await linesAbout(hostile, /asks too often/)).toHaveLength(1);
      const again = await shell(other, 'umount /mnt/files && mount /mnt/files && mountpoint /mnt/files');
      expect(again.stdout, again.stderr).toContain('is a mountpoint');
    });

    it('holds no connection for long, and nobody else’s door with it', async () => {
      const holding = tries<{ held: number; stillOpen: number; seconds: number }>('hold', '200');
      const again = await shell(other, 'umount /mnt/files && mount /mnt/files && mountpoint /mnt/files');
      expect(again.stdout, again.stderr).toContain('is a mountpoint');
      expect((await installation.status()).control.healthy).toBe(true);
      const held = await holding;
      expect(held).toMatchObject({ held: 200, stillOpen: 0 });
      expect(held.seconds).toBeLessThan(40);
    });

    it('plants nothing on the share that has power elsewhere', async () => {
      const planted = await shell(
        hostile,
        [
          'cp /usr/bin/id /mnt/files/become-root && chmod 6755 /mnt/files/become-root',
          'cp /usr/bin/id /mnt/files/become-capable && setcap cap_setuid,cap_dac_override+ep /mnt/files/become-capable && echo capable',
          'mknod /mnt/files/disk b 7 0 2>/dev/null || mknod /mnt/files/disk c 1 3 2>/dev/null || echo no device',
        ].join('\n'),
      );
      expect(planted.stdout).toBe('capable\nno device\n');
      const asNobody = (command: string) => `su -s /bin/sh nobody -c '${command}'\n`;
      const tried = await shell(
        other,
        [
          asNobody('/mnt/files/become-root -u'),
          asNobody('/mnt/files/become-capable -u; getpcaps 0 >/dev/null 2>&1'),
          // The test can tell: the same file elsewhere, where its root put it, has power.
          'cp -p --preserve=all /mnt/files/become-root /usr/local/bin/here\n',
          asNobody('/usr/local/bin/here -u'),
          'rm /usr/local/bin/here\n',
        ].join(''),
      );
      expect(tried.stdout).toBe('65534\n65534\n0\n');
      // Not even root inside takes these bounds off, by whatever name the share is seen.
      const remount = (options: string) => `mount -i -o remount,${options} /mnt/files 2>/dev/null && echo ${options}`;
      const freed = await shell(
        other,
        [
          ...['suid', 'dev', 'bind,suid', 'bind,dev', 'rw,suid,dev,exec'].map(remount),
          'mkdir -p /tmp/bound && mount --bind /mnt/files /tmp/bound && mount -o remount,bind,suid,dev /tmp/bound 2>/dev/null && echo bound',
          `unshare -m sh -c 'mount -o remount,bind,suid /mnt/files' 2>/dev/null && echo unshared`,
          `unshare -Urm sh -c 'mount -o remount,bind,suid /mnt/files' 2>/dev/null && echo in a user namespace`,
          'grep -E " (/mnt/files|/tmp/bound) " /proc/self/mountinfo | cut -d " " -f 6; umount /tmp/bound',
        ].join('\n'),
      );
      expect(freed.stdout.trim().split('\n')).toEqual([
        expect.stringMatching(/^rw,nosuid,nodev/),
        expect.stringMatching(/^rw,nosuid,nodev/),
      ]);
    });

    it('leads nobody astray by links, inside or on the host', async () => {
      const mountsOfHost = async () =>
        (await readFile('/proc/self/mountinfo', 'utf8'))
          .split('\n')
          .filter((line) => line.includes(id) && !/ \/var\/(lib|snap)\//.test(line));
      const before = await mountsOfHost();
      const link = '/mnt/files/notebooks';
      await shell(hostile, `mv ${link} ${link}.before && ln -s /etc ${link}`);
      // Who mounts next makes people's folders in it, as root.
      const mounted = await shell(
        other,
        'umount /mnt/files; mount /mnt/files; stat -c %F /mnt/files/notebooks; ls -d /etc/carol',
      );
      // The link is put aside, and a folder is made in its place.
      expect(mounted.stdout).toBe('directory\n');
      expect(existsSync(`/etc/${poolUser}`)).toBe(false);
      // A mount point that is a link: as the door takes it, past the mount program.
      await shell(other, 'umount /mnt/files; mv /mnt/files /mnt/files.before; ln -s ../../../../../../etc /mnt/files');
      await shell(other, 'mount /mnt/files');
      expect(await mountsOfHost()).toEqual(before);
      expect(existsSync('/etc/passwd')).toBe(true);
    });

    it('keeps no way in when the key is made anew', async () => {
      const arm = await installation.arm();
      const { subscriptionId } = JSON.parse(await readFile(join(installation.home, 'installation.json'), 'utf8')) as {
        subscriptionId: string;
      };
      const path = `/subscriptions/${subscriptionId}/resourceGroups/${group}/providers/Microsoft.Storage/storageAccounts/teamfiles`;
      await arm.send('POST', `${path}/regenerateKey?api-version=2022-09-01`, { keyName: 'key1' });
      // The other one: the hostile one has to wait.
      const refused = await shell(
        other,
        'mkdir -p /mnt/anew; sed -i "s|/mnt/files|/mnt/anew|" /etc/fstab; mount /mnt/anew',
      );
      expect(refused).toMatchObject({ exitCode: 32 });
      expect(refused.stderr).toMatch(/mount error\(13\): Permission denied/);
    });

    it('would find a gateway without rights, if it got into it', async () => {
      const { pid } = (await installation.status()).gateway;
      const status = await readFile(`/proc/${String(pid)}/status`, 'utf8');
      const field = (name: string) => new RegExp(`^${name}:\\s*(.*?)\\s*$`, 'm').exec(status)?.[1] ?? '';
      const uid = (await must('id', ['-u', 'poolhouse'])).trim();
      expect(field('Uid').split('\t')).toEqual([uid, uid, uid, uid]);
      expect(field('Groups')).toBe((await must('id', ['-G', 'poolhouse'])).trim());
      for (const name of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) expect(field(name)).toMatch(/^0+$/);
      expect(field('NoNewPrivs')).toBe('1');
      const folder = `/proc/${String(pid)}/fd`;
      const files = await Promise.all((await readdir(folder)).map((fd) => readlink(join(folder, fd)).catch(() => '')));
      expect(files.filter((file) => file.startsWith(installation.home))).toEqual(
        files.filter((file) => file.endsWith('/logs/gateway.log')),
      );
      const runFolder = `/run/poolhouse-${id}`;
      const sockets = ['/var/lib/lxd/unix.socket', '/var/lib/incus/unix.socket', `${runFolder}/admin.sock`];
      const asGateway = async (...argv: string[]) =>
        run('setpriv', ['--reuid=poolhouse', '--regid=poolhouse', '--init-groups', ...argv]);
      expect(await asGateway('id', '-u')).toMatchObject({ stdout: `${uid}\n` });
      for (const file of ['config.json', 'store.sqlite', 'secrets/key', 'logs/control.log'])
        expect((await asGateway('cat', join(installation.home, file))).stderr).toMatch(/Permission denied/);
      for (const file of ['programs.json', 'doors', 'control.pid'])
        expect((await asGateway('tail', '-n', '1', join(runFolder, file))).stderr).toMatch(/Permission denied/);
      for (const socket of sockets)
        expect((await asGateway('curl', '-s', '--unix-socket', socket, 'http://x/1.0')).exitCode).toBe(7);
      expect((await stat(installation.home)).mode & 0o777).toBe(0o700);
      expect((await stat(runFolder)).mode & 0o777).toBe(0o711);
    });
  },
);
