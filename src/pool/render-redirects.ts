/**
 * The kernel's part of the front ends, as one nftables script: the public address and port of every route lead to the
 * gateway's inner port, inner ports answer nobody directly, instances reach nothing of the host but DHCP and DNS, neither
 * each other nor a cloud's metadata by way of the host, and are reached by way of the host by nobody. What an instance
 * tried in vain is counted by its address. On the bridge nobody sends with the address of another.
 *
 * A redirect instead of a listener on the public port: the gateway needs no privileged port, and a host's own sshd on
 * `0.0.0.0:22` is no obstacle. The table is of family `inet`, because what instances may reach is closed for IPv6
 * (link-local addresses are there without asking) as well as for IPv4. The script replaces the whole table in one
 * transaction: there is no moment without rules, and connection tracking keeps what is established.
 *
 * Everything that enters the text is checked here, whatever its type says: a script runs as root.
 */
import { createHash } from 'node:crypto';
import { isIPv4 } from 'node:net';
import { PoolhouseError } from '../core/errors.ts';
import type { Route } from '../link/routes.ts';

export interface RedirectInput {
  /** Names the installation; the table's name ends with it. 1–48 of `A-Za-z0-9_-`. */
  installation: string;
  routes: readonly Pick<Route, 'id' | 'listenPort' | 'publicAddress' | 'publicPort'>[];
  /** The installation's own bridge; undefined where instances have no network (a simulated engine). */
  bridge?: string;
  /** Of every instance that there is. */
  links?: readonly InstanceLink[];
  /** Instances of our own that answer who comes to them, and reach nobody by themselves. */
  closed?: readonly { address: string }[];
  /** What the kernel leads to such an instance itself, and from which networks: there it is known who comes. */
  forwards?: readonly Forward[];
}

export interface Forward {
  publicAddress: string;
  publicPort: number;
  address: string;
  port: number;
  /** CIDR; from elsewhere nobody gets through. */
  clients: readonly string[];
}

export interface RedirectScript {
  /** The table, for `nft list table inet NAME`. */
  table: string;
  /** Stands in the table's comment: a table that shows it was made from this very script. */
  mark: string;
  /** For `nft -f -`. */
  text: string;
}

/** The host's end of an instance's network: which interface it is, and the one address that frames from there have. */
export interface InstanceLink {
  interface: string;
  mac: string;
}

/** The set of the table that counts, by address, what was refused to instances. */
export const refusedSet = 'refused';

/** The name of an installation's table; `InvalidParameter` where the installation's name is none. */
export function redirectTableName(installation: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,47}$/.test(installation)) throw invalid('installation name', installation);
  return `poolhouse_${installation}`;
}

/**
 * Renders the table. The same routes in any order give the same text.
 * `InvalidParameter` for a value that is not what it must be, `Conflict` where two routes ask for one public address
 * and port, or share an inner port.
 */
export function renderRedirects({
  installation,
  routes,
  bridge,
  links = [],
  closed = [],
  forwards = [],
}: RedirectInput): RedirectScript {
  const table = redirectTableName(installation);
  if (bridge !== undefined && !/^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$/.test(bridge)) throw invalid('bridge name', bridge);
  const fronts = checkedFronts(routes);
  const element = (front: Front): string => `${front.address} . ${String(front.port)} : ${String(front.inner)}`;
  // Loopback addresses are this host's own affair: a packet from outside that names one must not find a way in.
  const outside = fronts.filter((front) => !front.address.startsWith('127.')).map(element);
  for (const forward of forwards) checkForward(forward);
  for (const { address } of closed) if (!isIPv4(address)) throw invalid('address', address);
  const led = forwards.map(
    ({ publicAddress, publicPort, address, port, clients }) =>
      `ip saddr { ${clients.join(', ')} } ip daddr ${publicAddress} tcp dport ${String(publicPort)} dnat ip to ${address}:${String(port)}`,
  );
  const inner = [...new Set(fronts.map((front) => front.inner))].sort((a, b) => a - b).map(String);
  const body = [
    block('map fronts_outside', ['type ipv4_addr . inet_service : inet_service', ...elements(outside)]),
    block('map fronts_local', ['type ipv4_addr . inet_service : inet_service', ...elements(fronts.map(element))]),
    block('set inner_ports', ['type inet_service', ...elements(inner)]),
    ...(bridge === undefined
      ? []
      : [block(`set ${refusedSet}`, ['type ipv4_addr', 'size 4096', 'flags dynamic,timeout', 'timeout 1d'])]),
    block('chain prerouting', [
      'type nat hook prerouting priority -100; policy accept;',
      'meta nfproto ipv4 meta l4proto tcp redirect to : ip daddr . tcp dport map @fronts_outside',
      ...led,
    ]),
    block('chain output', [
      'type nat hook output priority -100; policy accept;',
      'meta nfproto ipv4 meta l4proto tcp redirect to : ip daddr . tcp dport map @fronts_local',
      ...led,
    ]),
    block('chain input', [
      'type filter hook input priority 0; policy accept;',
      'ct state established,related accept',
      ...(bridge === undefined ? [] : [`iifname "${bridge}" jump from_instances`]),
      'tcp dport @inner_ports ct status dnat accept',
      'tcp dport @inner_ports reject with tcp reset',
    ]),
    ...(bridge === undefined
      ? []
      : [
          block('chain from_instances', [
            // Their network's own name server, and no other that the host may run.
            'fib daddr . iif type local udp dport 53 accept',
            'fib daddr . iif type local tcp dport 53 accept',
            'udp dport 67 accept',
            'meta l4proto { icmp, ipv6-icmp } accept',
            'goto refuse',
          ]),
          // Ports of the bridge are isolated from each other, but the host would route between them, and to the
          // instances of another installation, which its own table protects from outside only.
          block('chain forward', [
            'type filter hook forward priority 0; policy accept;',
            `iifname "${bridge}" oifname "${bridgePrefix}*" goto refuse`,
            `iifname "${bridge}" ip daddr 169.254.0.0/16 goto refuse`,
            ...closed.map(({ address }) => `iifname "${bridge}" ip saddr ${address} ct state new goto refuse`),
            ...forwards.map(
              ({ address, port }) =>
                `oifname "${bridge}" ct state new ct status dnat ip daddr ${address} tcp dport ${String(port)} accept`,
            ),
            `oifname "${bridge}" ct state new,invalid drop`,
          ]),
          block('chain refuse', [
            // Broadcasts belong to the noise of any network; who names an address wants something there.
            `meta nfproto ipv4 meta pkttype host update @${refusedSet} { ip saddr counter }`,
            'drop',
          ]),
        ]),
  ].join('\n');
  const ports = portSecurity(links);
  const mark = createHash('sha256').update(`${body}\n${ports}`).digest('hex').slice(0, 32);
  // `table` first makes `delete` succeed where there is none yet; all of it is one transaction.
  const anew = (name: string, inner: string) => `table ${name}\ndelete table ${name}\ntable ${name} {\n${inner}\n}\n`;
  const text =
    anew(`inet ${table}`, `  comment "${mark}"\n${body}`) +
    (bridge === undefined ? '' : anew(`bridge ${table}`, ports));
  return { table, mark, text };
}

/** What the names of all installations' bridges begin with. */
const bridgePrefix = 'ph';

/**
 * A bridge learns where an address is before the engine's filters see the frame: who sends with the address of another
 * would get what is meant for it. So such a frame ends before it is learned from.
 */
function portSecurity(links: readonly InstanceLink[]): string {
  for (const link of links) {
    if (!/^[a-z0-9]{1,15}$/.test(link.interface)) throw invalid('interface', link.interface);
    if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(link.mac)) throw invalid('MAC address', link.mac);
  }
  const sorted = [...links].sort((a, b) => (a.interface < b.interface ? -1 : 1));
  const port = (link: InstanceLink) => `"${link.interface}"`;
  return [
    block('set ports', ['type ifname', ...elements(sorted.map(port))]),
    block('set addresses', ['type ether_addr', ...elements(sorted.map((link) => link.mac))]),
    block('set links', ['type ifname . ether_addr', ...elements(sorted.map((link) => `${port(link)} . ${link.mac}`))]),
    block('chain prerouting', [
      'type filter hook prerouting priority -300; policy accept;',
      'iifname @ports iifname . ether saddr != @links counter drop',
      'ether saddr @addresses iifname . ether saddr != @links counter drop',
    ]),
  ].join('\n');
}

interface Front {
  address: string;
  port: number;
  inner: number;
}

function checkedFronts(routes: RedirectInput['routes']): Front[] {
  const owners = new Map<string, string>();
  const fronts = routes.map((route): Front => {
    if (!isIPv4(route.publicAddress)) throw invalid('public address', route.publicAddress);
    for (const port of [route.publicPort, route.listenPort]) {
      if (!Number.isInteger(port) || port < 1 || port > 65535) throw invalid('port', String(port));
    }
    for (const key of [
      `${route.publicAddress}:${String(route.publicPort)}`,
      `inner port ${String(route.listenPort)}`,
    ]) {
      const owner = owners.get(key);
      if (owner !== undefined) {
        throw new PoolhouseError(
          'Conflict',
          `Routes '${owner}' and '${route.id}' both ask for ${key}. Give one of them another.`,
        );
      }
      owners.set(key, route.id);
    }
    return { address: route.publicAddress, port: route.publicPort, inner: route.listenPort };
  });
  return fronts.sort((a, b) => (a.address === b.address ? a.port - b.port : a.address < b.address ? -1 : 1));
}

function checkForward({ publicAddress, publicPort, address, port, clients }: Forward): void {
  for (const one of [publicAddress, address]) if (!isIPv4(one)) throw invalid('address', one);
  for (const one of [publicPort, port])
    if (!Number.isInteger(one) || one < 1 || one > 65535) throw invalid('port', String(one));
  for (const client of clients) {
    const [base = '', length = ''] = client.split('/');
    if (!isIPv4(base) || !/^([0-9]|[12][0-9]|3[0-2])$/.test(length)) throw invalid('network', client);
  }
}

function block(head: string, lines: string[]): string {
  return [`  ${head} {`, ...lines.map((line) => `    ${line}`), '  }'].join('\n');
}

/** An `elements` line, or none: nft refuses an empty one. */
function elements(list: string[]): string[] {
  return list.length === 0 ? [] : [`elements = { ${list.join(', ')} }`];
}

function invalid(what: string, value: string): PoolhouseError {
  return new PoolhouseError(
    'InvalidParameter',
    `${JSON.stringify(value.slice(0, 80))} is not a valid ${what} for a kernel redirect.`,
  );
}
