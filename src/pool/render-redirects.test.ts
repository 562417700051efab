import { describe, expect, it } from 'vitest';
import { renderRedirects } from './render-redirects.ts';

const ssh = { id: 'ssh', listenPort: 40001, publicAddress: '127.77.0.10', publicPort: 22 };
const web = { id: 'web', listenPort: 40002, publicAddress: '192.0.2.7', publicPort: 8000 };
const bad = (changes: object): { installation: string; routes: (typeof ssh)[] } => ({
  installation: 'a',
  routes: [{ ...ssh, ...changes }],
});

describe('renderRedirects', () => {
  it('replaces the whole table in one script', () => {
    const { text, table, mark } = renderRedirects({ installation: 'lab-1', routes: [ssh] });
    expect(table).toBe('poolhouse_lab-1');
    expect(
      text.startsWith(`table inet ${table}\ndelete table inet ${table}\ntable inet ${table} {\n  comment "${mark}"\n`),
    ).toBe(true);
  });

  it('leads both directions to the inner port, and loopback addresses from this host only', () => {
    const { text } = renderRedirects({ installation: 'a', routes: [ssh, web] });
    const mapOf = (name: string): string => new RegExp(`map ${name} {[^}]*{([^}]*)}`).exec(text)?.[1]?.trim() ?? '';
    expect(mapOf('fronts_local')).toBe('127.77.0.10 . 22 : 40001, 192.0.2.7 . 8000 : 40002');
    expect(mapOf('fronts_outside')).toBe('192.0.2.7 . 8000 : 40002');
  });

  it('is the same text for the same routes in any order, with another mark for others', () => {
    const one = renderRedirects({ installation: 'a', routes: [ssh, web] });
    expect(renderRedirects({ installation: 'a', routes: [web, ssh] })).toEqual(one);
    expect(renderRedirects({ installation: 'a', routes: [web] }).mark).not.toBe(one.mark);
    expect(renderRedirects({ installation: 'a', routes: [ssh, web], bridge: 'ph0' }).mark).not.toBe(one.mark);
  });

  it('renders no elements line without routes: nft refuses an empty one', () => {
    expect(renderRedirects({ installation: 'a', routes: [] }).text).not.toContain('elements');
  });

  it('keeps instances from each other, from other installations and from metadata, and counts who tries', () => {
    const { text } = renderRedirects({ installation: 'a', routes: [], bridge: 'ph0' });
    const chain = (name: string) => new RegExp(`chain ${name} {([^]*?)\\n  }`).exec(text)?.[1] ?? '';
    expect(chain('forward')).toContain('iifname "ph0" oifname "ph*" goto refuse');
    expect(chain('forward')).toContain('iifname "ph0" ip daddr 169.254.0.0/16 goto refuse');
    expect(chain('forward')).toContain('oifname "ph0" ct state new,invalid drop');
    expect(chain('from_instances').trim().split('\n').at(-1)?.trim()).toBe('goto refuse');
    expect(chain('refuse')).toMatch(/update @refused \{ ip saddr counter \}\n\s+drop$/);
    expect(renderRedirects({ installation: 'a', routes: [] }).text).not.toMatch(/forward|refuse/);
  });

  it('leads chosen networks to a service itself, which reaches nobody', () => {
    const forward = { publicAddress: '192.0.2.7', publicPort: 2049, address: '10.231.3.254', port: 2049 };
    const { text } = renderRedirects({
      ...{ installation: 'a', routes: [], bridge: 'ph0', closed: [{ address: '10.231.3.254' }] },
      forwards: [{ ...forward, clients: ['10.0.0.0/24', '10.9.0.1/32'] }],
    });
    const chain = (name: string) => new RegExp(`chain ${name} {([^]*?)\\n  }`).exec(text)?.[1] ?? '';
    const led = 'ip saddr { 10.0.0.0/24, 10.9.0.1/32 } ip daddr 192.0.2.7 tcp dport 2049 dnat ip to 10.231.3.254:2049';
    expect(chain('prerouting')).toContain(led);
    expect(chain('output')).toContain(led);
    const lines = chain('forward').trim().split(/\n\s*/);
    const open = 'oifname "ph0" ct state new ct status dnat ip daddr 10.231.3.254 tcp dport 2049 accept';
    expect(lines.indexOf(open)).toBe(lines.indexOf('oifname "ph0" ct state new,invalid drop') - 1);
    expect(lines).toContain('iifname "ph0" ip saddr 10.231.3.254 ct state new goto refuse');
  });

  it('lets no frame be learned from that has the address of another', () => {
    const link = { interface: 'pv0', mac: '02:00:00:00:00:01' };
    const { text, mark } = renderRedirects({ installation: 'a', routes: [], bridge: 'ph0', links: [link] });
    const table = /table bridge poolhouse_a {\n([^]*)/.exec(text)?.[1];
    expect(table).toContain('elements = { "pv0" . 02:00:00:00:00:01 }');
    expect(table).toContain('iifname @ports iifname . ether saddr != @links counter drop');
    expect(table).toContain('ether saddr @addresses iifname . ether saddr != @links counter drop');
    expect(renderRedirects({ installation: 'a', routes: [], bridge: 'ph0' }).mark).not.toBe(mark);
  });

  it.each([
    ['an address with a rule in it', bad({ publicAddress: '127.0.0.1 . 1 : 2 } } drop' })],
    ['an IPv6 address', bad({ publicAddress: '::1' })],
    ['a port of no number', bad({ publicPort: Number.NaN })],
    ['port 0', bad({ listenPort: 0 })],
    ['port 65536', bad({ publicPort: 65_536 })],
    ['a bridge with a quote', { installation: 'a', routes: [], bridge: 'br"0' }],
    ['a bridge with a wildcard', { installation: 'a', routes: [], bridge: 'br*' }],
    ['a bridge longer than the kernel allows', { installation: 'a', routes: [], bridge: 'a'.repeat(16) }],
    [
      'an interface with a quote',
      { installation: 'a', routes: [], bridge: 'b', links: [{ interface: 'a"', mac: '02:00:00:00:00:01' }] },
    ],
    [
      'a MAC address that is none',
      { installation: 'a', routes: [], bridge: 'b', links: [{ interface: 'a', mac: '*' }] },
    ],
    [
      'a network that is none',
      {
        ...{ installation: 'a', routes: [], bridge: 'b' },
        forwards: [
          { publicAddress: '192.0.2.7', publicPort: 1, address: '10.0.0.1', port: 1, clients: ['10.0.0.0/33'] },
        ],
      },
    ],
    ['an installation with a line feed', { installation: 'a\nflush ruleset', routes: [] }],
    ['an empty installation', { installation: '', routes: [] }],
  ])('refuses %s', (_, input) => {
    expect(() => renderRedirects(input)).toThrow(expect.objectContaining({ code: 'InvalidParameter' }));
  });

  it.each([
    ['one public address and port', { ...web, publicAddress: ssh.publicAddress, publicPort: ssh.publicPort }],
    ['one inner port', { ...web, listenPort: ssh.listenPort }],
  ])('refuses two routes with %s', (_, other) => {
    expect(() => renderRedirects({ installation: 'a', routes: [ssh, other] })).toThrow(
      expect.objectContaining({ code: 'Conflict' }),
    );
  });
});
