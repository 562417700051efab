import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { checkAddress, checkUrl, describeUrl, type FetchPolicy } from './policy.ts';

const policy: FetchPolicy = {
  mirrors: {},
  fetchAllow: ['10.1.2.3:8080', 'files.team.internal:80', '127.0.0.1:9000', '[0:0:0:0:0:0:0:1]:9000', '0x7f.2:9001'],
  forbidden: ['127.0.0.1:8943'],
};

/** What comes of a URL whose host, when it is a name, was looked up to `found`. */
function verdictOf(url: string, found?: string): string {
  const checked = checkUrl(url);
  if ('why' in checked) return checked.why;
  const verdict = checkAddress(found ?? checked.host, checked.host, checked.port, policy);
  return verdict.allowed ? 'allowed' : verdict.why;
}

const urls: [what: string, url: string, verdict: RegExp, found?: string][] = [
  ['a public address', 'http://93.184.216.34/a', /^allowed$/],
  ['a public address and another port', 'https://93.184.216.34:8443/a', /^allowed$/],
  ['a public IPv6 address', 'https://[2606:2800:220:1::1]/', /^allowed$/],
  ['a name at a public address', 'https://example.com/', /^allowed$/, '93.184.216.34'],
  ['ftp', 'ftp://example.com/a', /only http and https are fetched, not 'ftp'/],
  ['a file', 'file:///etc/passwd', /only http and https/],
  ['text in the URL', 'data:text/plain,hello', /only http and https/],
  ['no URL', 'template.json', /not a URL/],
  ['a URL without end', `http://example.com/${'a'.repeat(5_000)}`, /not a URL/],
  ['a user name', 'http://user@example.com/', /user name or password/],
  ['a password', 'http://user:word@example.com/', /user name or password/],

  ['loopback', 'http://127.0.0.1/', /127\.0\.0\.1 is an inner address/],
  ['all of loopback', 'http://127.8.9.10/', /inner/],
  ['loopback of IPv6', 'http://[::1]/', /inner/],
  ['no address', 'http://0.0.0.0/', /inner/],
  ['no address of IPv6', 'http://[::]/', /inner/],
  ['link-local', 'http://169.254.1.1/', /inner/],
  ['metadata', 'http://169.254.169.254/metadata/instance', /inner/],
  ['metadata of other clouds', 'http://100.100.100.200/', /inner/],
  ['metadata by IPv6', 'http://[fd00:ec2::254]/', /inner/],
  [`Azure's host agent`, 'http://168.63.129.16/', /inner/],
  ['private 10/8', 'http://10.0.0.1/', /inner/],
  ['private 172.16/12', 'http://172.31.255.255/', /inner/],
  ['what follows 172.16/12', 'http://172.32.0.1/', /^allowed$/],
  ['private 192.168/16', 'http://192.168.1.1/', /inner/],
  ['carrier NAT', 'http://100.64.0.1/', /inner/],
  ['multicast', 'http://224.0.0.1/', /inner/],
  ['broadcast', 'http://255.255.255.255/', /inner/],
  ['local IPv6', 'http://[fe80::1]/', /inner/],
  ['site-local IPv6', 'http://[fec0::1]/', /inner/],
  ['unique local IPv6', 'http://[fd12:3456::1]/', /inner/],

  ['one number', 'http://2130706433/', /127\.0\.0\.1 is an inner address/],
  ['hexadecimal parts', 'http://0x7f.1/', /127\.0\.0\.1 is an inner address/],
  ['octal parts', 'http://0177.0.0.01/', /127\.0\.0\.1 is an inner address/],
  ['few parts', 'http://10.1/', /10\.0\.0\.1 is an inner address/],
  ['a dot at its end', 'http://127.0.0.1./', /inner/],
  ['digits in circles', 'http://①②⑦.⓪.⓪.①/', /127\.0\.0\.1 is an inner address/],
  ['percent signs', 'http://%31%32%37.0.0.1/', /127\.0\.0\.1 is an inner address/],
  ['IPv4 mapped to IPv6', 'http://[::ffff:169.254.169.254]/', /169\.254\.169\.254 is an inner address/],
  ['mapped, in full', 'http://[0:0:0:0:0:ffff:7f00:1]/', /127\.0\.0\.1 is an inner address/],
  ['mapped, of a public address', 'http://[::ffff:93.184.216.34]/', /^allowed$/],
  ['IPv4 in IPv6 as of old', 'http://[::127.0.0.1]/', /inner/],
  ['IPv4 behind NAT64', 'http://[64:ff9b::10.0.0.1]/', /inner/],
  ['IPv4 behind 6to4', 'http://[2002:7f00:1::]/', /inner/],
  ['IPv4 behind Teredo', 'http://[2001:0:7f00:1::]/', /inner/],

  ['a name that leads inside', 'https://evil.example/', /192\.168\.0\.1 is an inner address/, '192.168.0.1'],
  ['a name that leads to a mapped address', 'https://evil.example/', /inner/, '::ffff:192.168.0.1'],
  ['a name that leads to a zone', 'https://evil.example/', /inner/, 'fe80::1%eth0'],
  ['a name that leads to no address', 'https://evil.example/', /not an address/, 'elsewhere'],
  ['localhost', 'http://localhost/', /inner/, '127.0.0.1'],

  ['an address in fetchAllow', 'http://10.1.2.3:8080/', /^allowed$/],
  ['its other ports', 'http://10.1.2.3/', /inner/],
  ['its neighbour', 'http://10.1.2.4:8080/', /inner/],
  ['another spelling of it', 'http://0xa.0x10203:8080/', /^allowed$/],
  ['another spelling in fetchAllow', 'http://127.0.0.2:9001/', /^allowed$/],
  ['an IPv6 address in fetchAllow', 'http://[::1]:9000/', /^allowed$/],
  ['a name in fetchAllow', 'http://files.team.internal/', /^allowed$/, '10.9.9.9'],
  ['a name in fetchAllow in capitals', 'http://FILES.team.internal./', /^allowed$/, '10.9.9.9'],
  ['the https port of that name', 'https://files.team.internal/', /inner/, '10.9.9.9'],

  ['our own API', 'https://127.0.0.1:8943/', /control plane itself/],
  ['our own API by another loopback address', 'https://127.5.5.5:8943/', /control plane itself/],
  ['our own API by IPv6', 'https://[::1]:8943/', /control plane itself/],
  ['our own API by no address', 'https://0.0.0.0:8943/', /control plane itself/],
  ['our own API by a mapped address', 'https://[::ffff:127.0.0.1]:8943/', /control plane itself/],
  ['our own API by a name', 'https://localhost:8943/', /control plane itself/, '127.0.0.1'],
];

describe('the policy of downloads', () => {
  it.each(urls)('%s: %s', (_what, url, verdict, found) => {
    expect(verdictOf(url, found)).toMatch(verdict);
  });

  it('says the same of an address however it is written', () => {
    const part = fc.integer({ min: 0, max: 255 });
    fc.assert(
      fc.property(fc.tuple(part, part, part, part), ([a, b, c, d]) => {
        const plain = verdictOf(`http://${a}.${b}.${c}.${d}/`).split('. To allow')[0];
        const [high, low] = [a * 256 + b, c * 256 + d];
        for (const spelling of [
          String(high * 65_536 + low),
          `0x${(high * 65_536 + low).toString(16)}`,
          `0${a.toString(8)}.0x${b.toString(16)}.${low}`,
          `[::ffff:${a}.${b}.${c}.${d}]`,
          `[0:0:0:0:0:FFFF:${high.toString(16)}:${low.toString(16)}]`,
        ])
          expect(verdictOf(`http://${spelling}/`).split('. To allow')[0]).toBe(plain);
      }),
    );
  });

  it('refuses our own API even where fetchAllow lists it', () => {
    const open = { ...policy, fetchAllow: ['127.0.0.1:8943', 'localhost:8943'] };
    expect(checkAddress('127.0.0.1', 'localhost', 8943, open)).toMatchObject({ allowed: false });
  });

  it('says what to write to allow an address, as config.json takes it', () => {
    expect(verdictOf('http://files.example:81/', '10.0.0.9')).toContain('add "files.example:81"');
    expect(verdictOf('http://[fd00::9]/')).toContain('add "[fd00::9]:80"');
  });

  it.each([
    ['http://example.com/a?sig=secret#part', `'http://example.com/a'`],
    ['http://user:word@example.com/a', `'http://example.com/a'`],
    [`http://example.com/${'a'.repeat(900)}`, `'http://example.com/${'a'.repeat(181)}…'`],
    ['not a url', `'not a url'`],
  ])('describes %s without what may be secret', (url, description) => {
    expect(describeUrl(url)).toBe(description);
  });
});
