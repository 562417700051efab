/**
 * Front ends through the real kernel: redirects beside a program that holds the same port, from this host and from
 * another network namespace, by address and by name; and what instances cannot reach.
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { applyRedirects, removeRedirects } from '../../src/control/redirects.ts';
import { systemClock } from '../../src/core/system-clock.ts';
import { createGateway } from '../../src/gateway/gateway.ts';
import type { Gateway } from '../../src/gateway/gateway.ts';
import { runProbe } from '../../src/gateway/probes/run-probe.ts';
import {
  awayControl,
  dial,
  freePort,
  meet,
  silentLog,
  nobodyObserves,
  startInstance,
  tcpRoute,
  until,
} from '../../src/gateway/test-support.ts';
import type { FakeInstance } from '../../src/gateway/test-support.ts';
import type { Route } from '../../src/link/routes.ts';
import { renderRedirects } from '../../src/pool/render-redirects.ts';

const run = promisify(execFile);
const never = new AbortController().signal;

/** Why these tests cannot run here; undefined where they can. */
function missing(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root';
  for (const [program, argument] of [
    ['nft', '--version'],
    ['ip', '-V'],
  ] as const) {
    try {
      execFileSync(program, [argument], { stdio: 'ignore' });
    } catch {
      return `needs ${program}`;
    }
  }
  return undefined;
}

// Names and addresses of this run only: several may run on one machine.
const tag = `phe${String(process.pid)}`;
const [hostSide, farSide, namespace] = [`${tag}h`, `${tag}f`, `${tag}n`];
const third = process.pid % 250;
const [hostAddress, farAddress] = [`198.18.${String(third)}.1`, `198.18.${String(third)}.2`];
const local = `127.77.${String(third)}.10`;

const reason = missing();
describe.skipIf(reason !== undefined)(
  `front ends in the kernel${reason === undefined ? '' : ` (left out: ${reason})`}`,
  () => {
    let gateway: Gateway;
    let backend: FakeInstance;
    let sshd: Server;
    let port: number;
    let routes: Route[];

    beforeAll(async () => {
      await run('ip', ['netns', 'add', namespace]);
      await run('ip', ['link', 'add', hostSide, 'type', 'veth', 'peer', 'name', farSide, 'netns', namespace]);
      await run('ip', ['addr', 'add', `${hostAddress}/30`, 'dev', hostSide]);
      await run('ip', ['link', 'set', hostSide, 'up']);
      await run('ip', ['-n', namespace, 'addr', 'add', `${farAddress}/30`, 'dev', farSide]);
      await run('ip', ['-n', namespace, 'link', 'set', farSide, 'up']);
      await run('ip', ['-n', namespace, 'link', 'set', 'lo', 'up']);
      await mkdir(`/etc/netns/${namespace}`, { recursive: true });
      await writeFile(`/etc/netns/${namespace}/hosts`, `${hostAddress} pool.example\n`);

      // Another program that holds the very port on all addresses, as a host's sshd does.
      sshd = createServer((socket) => {
        socket.on('error', () => undefined);
        socket.end('the host itself\n');
      });
      sshd.listen({ host: '::', port: 0 });
      await once(sshd, 'listening');
      const address = sshd.address();
      port = typeof address === 'object' && address !== null ? address.port : 0;

      backend = await startInstance('i-0');
      gateway = createGateway({
        client: awayControl,
        id: 'g',
        pid: 1,
        clock: systemClock,
        log: silentLog,
        runProbe,
        observer: nobodyObserves,
        onChange: () => undefined,
        onSignInEnded: () => undefined,
      });
      routes = [
        tcpRoute(await freePort(), [backend], { publicAddress: local, publicPort: port }),
        tcpRoute(await freePort(), [backend], { publicAddress: hostAddress, publicPort: port }),
      ];
      gateway.apply({ revision: 1, routes });
      await applyRedirects(renderRedirects({ installation: tag, routes }), never);
    });

    afterAll(async () => {
      await removeRedirects(tag, never);
      await gateway.close(0, AbortSignal.abort());
      await backend.close();
      sshd.close();
      await run('ip', ['netns', 'del', namespace]);
      await run('ip', ['link', 'del', hostSide]).catch(() => undefined);
      await rm(`/etc/netns/${namespace}`, { recursive: true, force: true });
    });

    /** The first line that a connection from the other namespace receives, or how it failed. */
    async function fromAfar(host: string, toPort: number): Promise<string> {
      const script = 'exec 3<>"/dev/tcp/$0/$1" && read -r -t 2 line <&3 && echo "$line"';
      try {
        const answer = await run('ip', [
          'netns',
          'exec',
          namespace,
          'timeout',
          '3',
          'bash',
          '-c',
          script,
          host,
          String(toPort),
        ]);
        return answer.stdout.trim();
      } catch (error) {
        const text = error instanceof Error && 'stderr' in error ? String(error.stderr) : '';
        return text.includes('refused') ? 'refused' : 'no answer';
      }
    }

    it('leads to the gateway beside a program that listens on all addresses, and leaves that program alone', async () => {
      await until('the front end answers', async () => (await meet(port, local)) === 'i-0');
      expect(await meet(port, hostAddress)).toBe('i-0');
      expect(await meet(port, '127.0.0.1')).toBe('the host itself');
    });

    it('is reached from another machine, by address and by name', async () => {
      expect(await fromAfar(hostAddress, port)).toBe('i-0');
      expect(await fromAfar('pool.example', port)).toBe('i-0');
    });

    it('answers nobody on an inner port directly', async () => {
      for (const { listenPort } of routes) {
        expect(await meet(listenPort)).toBeUndefined();
        expect(await meet(listenPort, local)).toBeUndefined();
        expect(await fromAfar(hostAddress, listenPort)).toBe('refused');
      }
    });

    it('does not lead packets from outside to a loopback front end', async () => {
      await run('ip', ['netns', 'exec', namespace, 'sysctl', '-qw', `net.ipv4.conf.${farSide}.route_localnet=1`]);
      await run('ip', ['-n', namespace, 'route', 'del', 'local', '127.0.0.0/8', 'dev', 'lo', 'table', 'local']).catch(
        () => undefined,
      );
      await run('ip', ['-n', namespace, 'addr', 'flush', 'dev', 'lo']);
      await run('ip', ['-n', namespace, 'route', 'add', '127.77.0.0/16', 'via', hostAddress, 'src', farAddress]);
      expect(await fromAfar(local, port)).toBe('no answer');
      expect(await fromAfar(hostAddress, port)).toBe('i-0');
    });

    it('changes nothing when applied again, and mends what somebody flushed', async () => {
      const script = renderRedirects({ installation: tag, routes });
      expect(await applyRedirects(script, never)).toEqual({ changed: false });
      await run('nft', ['delete', 'table', 'inet', script.table]);
      expect(await meet(port, local)).toBe('the host itself');
      expect(await applyRedirects(script, never)).toEqual({ changed: true });
      expect(await meet(port, local)).toBe('i-0');
    });

    it('keeps an established connection when the table is replaced, even by one without its route', async () => {
      const client = dial(port, local);
      expect(await client.greeting()).toBe('i-0');
      await applyRedirects(renderRedirects({ installation: tag, routes: routes.slice(1) }), never);
      await client.echo('through another table');
      expect(await meet(port, local)).toBe('the host itself');
      await applyRedirects(renderRedirects({ installation: tag, routes }), never);
      await client.echo('and another');
      client.socket.destroy();
    });

    it('lets instances reach nothing of the host but DHCP and DNS, over IPv4 and IPv6', async () => {
      const linkLocal = async (): Promise<string> => {
        const shown = await run('ip', ['-6', '-o', 'addr', 'show', 'dev', hostSide, 'scope', 'link', '-tentative']);
        return /inet6 (fe80:[^/]+)/.exec(shown.stdout)?.[1] ?? '';
      };
      await until('the link has its IPv6 address', async () => (await linkLocal()) !== '');
      const overSix = `${await linkLocal()}%${farSide}`;
      const dns = createServer((socket) => socket.end('a name server\n')).listen({ host: hostAddress, port: 53 });
      await once(dns, 'listening');
      const farPort = 8000;
      const listener = `require('net').createServer((s) => s.end('an instance\\n')).listen(${String(farPort)})`;
      const instance = spawn('ip', ['netns', 'exec', namespace, process.execPath, '-e', listener], { stdio: 'ignore' });
      try {
        await until('the instance listens', async () => (await meet(farPort, farAddress)) === 'an instance');
        await until(
          'it is reachable over IPv6 without the rule',
          async () => (await fromAfar(overSix, port)) === 'the host itself',
        );
        await applyRedirects(renderRedirects({ installation: tag, routes, bridge: hostSide }), never);
        expect(await fromAfar(hostAddress, port)).toBe('no answer');
        expect(await fromAfar(hostAddress, routes[1]?.listenPort ?? 0)).toBe('no answer');
        expect(await fromAfar(overSix, port)).toBe('no answer');
        expect(await fromAfar(hostAddress, 53)).toBe('a name server');
        // The host reaches into the network as before: that is how the gateway meets instances.
        expect(await meet(farPort, farAddress)).toBe('an instance');
        expect(await meet(port, local)).toBe('i-0');
      } finally {
        dns.close();
        instance.kill('SIGKILL');
        await applyRedirects(renderRedirects({ installation: tag, routes }), never);
      }
      expect(await fromAfar(hostAddress, port)).toBe('i-0');
    }, 30_000);

    it('ends a connection to an instance that is gone without a word, once no route leads to it', async () => {
      const farPort = 8001;
      const listener = `require('net').createServer((s) => s.write('an instance\\n')).listen(${String(farPort)})`;
      const instance = spawn('ip', ['netns', 'exec', namespace, process.execPath, '-e', listener], { stdio: 'ignore' });
      const inner = await freePort();
      const [front, gone] = [tcpRoute(inner, []), tcpRoute(inner, [])];
      front.backends = [{ instance: 'i-far', address: farAddress, port: farPort, accepting: true }];
      try {
        await until('the instance listens', async () => (await meet(farPort, farAddress)) === 'an instance');
        gateway.apply({ revision: 2, routes: [...routes, front] });
        await until('the front end answers', async () => (await meet(inner)) === 'an instance');
        const client = dial(inner);
        await client.greeting();
        await run('ip', ['-n', namespace, 'link', 'set', farSide, 'down']);
        gateway.apply({ revision: 3, routes: [...routes, gone] });
        await until('the client is told', () => client.socket.destroyed, 30_000);
      } finally {
        instance.kill('SIGKILL');
        gateway.apply({ revision: 4, routes });
        await run('ip', ['-n', namespace, 'link', 'set', farSide, 'up']);
      }
    }, 60_000);

    it('removes its own table only, and nothing when it is gone already', async () => {
      const other = renderRedirects({ installation: `${tag}-other`, routes: [] });
      await applyRedirects(other, never);
      await removeRedirects(tag, never);
      await removeRedirects(tag, never);
      expect(await meet(port, local)).toBe('the host itself');
      expect((await run('nft', ['list', 'tables'])).stdout).toContain(other.table);
      await removeRedirects(`${tag}-other`, never);
      expect((await run('nft', ['list', 'tables'])).stdout).not.toContain(`poolhouse_${tag}`);
    });

    it('says what the kernel refuses', async () => {
      const script = {
        ...renderRedirects({ installation: tag, routes: [] }),
        text: 'table inet nonsense { chain { } }\n',
      };
      await expect(applyRedirects(script, never)).rejects.toMatchObject({ code: 'HostNotReady' });
    });
  },
);
