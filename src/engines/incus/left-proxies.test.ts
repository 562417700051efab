import { describe, expect, it } from 'vitest';
import { isProxyTo } from './left-proxies.ts';

const socket = '/run/poolhouse-0a1b2c3d/instances/pool-1.sock';
const line = (to: string, program = '/usr/bin/lxd', verb = 'forkproxy') =>
  `${program} ${verb} -- 70 3 unix:/var/lib/poolhouse/control.sock 69 4 unix:${to} 0 0 0600`.split(' ');

describe('a process of the daemon for a control socket', () => {
  it.each([
    ['is known by its socket', line(socket), true],
    ['also of Incus', line(socket, '/usr/libexec/incus/incusd'), true],
    ['is not one for another instance', line('/run/poolhouse-0a1b2c3d/instances/pool-10.sock'), false],
    ['is not what others of the daemon do', line(socket, '/usr/bin/lxd', 'forkexec'), false],
    ['is not another program that names the socket', line(socket, '/usr/bin/socat'), false],
  ])('%s', (_name, argv, expected) => {
    expect(isProxyTo(argv, socket)).toBe(expected);
  });
});
