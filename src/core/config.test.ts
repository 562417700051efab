import { describe, expect, it } from 'vitest';
import { readConfig } from './config.ts';
import type { Json } from './json.ts';

const defaults = {
  masterKey: 'file',
  engine: 'incus',
  metricsPorts: {},
  gateways: 1,
  leaveHours: 24,
  logLevel: 'info',
  userAuthorities: [],
  hostCertificateFiles: [],
  publicAddresses: [],
  mirrors: {},
  fetchAllow: [],
  instanceRange: '10.231.0.0/16',
  smb: false,
  nfs: [],
  poolGiB: 100,
  prices: {},
  alerts: { emails: [], webhooks: [] },
  currency: 'EUR',
};

describe('config.json', () => {
  it('may be empty', () => {
    expect(readConfig({}, 'config.json')).toEqual(defaults);
  });

  const valid: [what: string, value: Json][] = [
    ['where the master key is', { masterKey: 'passphrase' }],
    ['the engine', { engine: 'sim' }],
    ['the port', { apiPort: 8943 }],
    ['both ports of the metrics', { metricsPorts: { control: 18_000, gateway: 18_001 } }],
    ['one port of the metrics', { metricsPorts: { gateway: 18_001 } }],
    ['what is logged', { logLevel: 'debug' }],
    [
      'authorities',
      { userAuthorities: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKZ0dqOPMA8xJT4Nr8tqV0Z9EEiOTjFCgZxT1n8PVyLZ ca'] },
    ],
    ['addresses', { publicAddresses: ['192.0.2.10', '192.0.2.11'] }],
    ['mirrors', { mirrors: { 'https://a.example/': '/srv/a' } }],
    ['names, addresses and IPv6 for downloads', { fetchAllow: ['files.internal:80', '10.0.0.1:8080', '[fd00::1]:80'] }],
    ['the range of instances', { instanceRange: '10.99.0.0/16' }],
    ['how many gateways serve, and how long one leaves', { gateways: 4, leaveHours: 0.5 }],
    ['certificates of host keys', { hostCertificateFiles: ['/srv/host-cert.pub'] }],
    ['the size', { poolGiB: 5 }],
    ['prices', { prices: { Standard_DS2_v2: 0.114, Standard_D1: 0 }, currency: 'CHF' }],
    [
      'a server for e-mail',
      {
        smtp: {
          host: 'mail.example',
          port: 465,
          secure: true,
          user: 'a',
          passwordFile: '/p',
          from: 'Pool <a@b.example>',
        },
      },
    ],
  ];
  it.each(valid)('sets %s', (_what, value) => {
    expect(readConfig(value, 'config.json')).toEqual({ ...defaults, ...(value as object) });
  });

  const wrong: [what: string, value: Json, message: RegExp][] = [
    ['a misspelt key', { engin: 'sim' }, /'engin' is not a known key: did you mean 'engine'\?/],
    ['a key in other letters', { apiport: 1 }, /did you mean 'apiPort'\?/],
    [
      'a key that resembles none',
      { colour: 1 },
      /'colour' is not a known key\. Known keys: masterKey, engine, apiPort/,
    ],
    ['two unknown keys', { mirror: {}, fetchAlow: [] }, /'mirrors'\?; 'fetchAlow' .*'fetchAllow'\?/],
    ['an unknown engine', { engine: 'kvm' }, /'engine'/],
    ['a port out of range', { apiPort: 70_000 }, /'apiPort'/],
    ['a port that the gateway may not have', { metricsPorts: { gateway: 80 } }, /'metricsPorts\.gateway'/],
    [
      'a process that has no metrics',
      { metricsPorts: { engine: 18_000 } },
      /'metricsPorts\.engine' is not a known key/,
    ],
    ['a level that there is not', { logLevel: 'loud' }, /'logLevel'.*"trace"/],
    ['a port as text', { apiPort: '8943' }, /'apiPort'/],
    ['an address that is none', { publicAddresses: ['192.0.2.10', 'pool.example'] }, /'publicAddresses\.1'/],
    ['a host without a port', { fetchAllow: ['files.internal'] }, /'fetchAllow\.0': expected HOST:PORT/],
    ['a URL for a host', { fetchAllow: ['http://files.internal:80'] }, /'fetchAllow\.0': expected HOST:PORT/],
    ['a range without its size', { instanceRange: '10.0.0.0' }, /'instanceRange': expected a network/],
    ['a range with too many bits', { instanceRange: '10.0.0.0/64' }, /'instanceRange': expected a network/],
    ['a range that is too small', { instanceRange: '10.0.0.0/24' }, /'instanceRange': expected a network of \/22/],
    ['a range of no address', { instanceRange: '10.999.0.0/16' }, /'instanceRange': expected a network/],
    ['too small a size', { poolGiB: 1 }, /'poolGiB'/],
    [
      'a misspelt key in another',
      { smtp: { hots: 'a', from: 'a@b' } },
      /'smtp\.hots' is not a known key: did you mean 'host'/,
    ],
    ['a server without a sender', { smtp: { host: 'a' } }, /'smtp\.from'/],
    ['a sender of two lines', { smtp: { host: 'a', from: 'a@b\nBcc: c@d' } }, /'smtp\.from': expected an address/],
    ['a user without a password', { smtp: { host: 'a', from: 'a@b', user: 'a' } }, /'smtp': user and passwordFile/],
    ['a price below nothing', { prices: { Standard_D1: -1 } }, /'prices\.Standard_D1'/],
    ['a currency that is none', { currency: 'Euro' }, /'currency': expected three capital letters/],
    [
      'a share that is exported twice',
      { nfs: ['10.0.0.0/24', '10.0.1.0/24'].map((client) => ({ share: 'team/files', clients: [client] })) },
      /'nfs': a share is named more than once/,
    ],
    ['a list', [], /expected object/],
    ['nothing', null, /expected object/],
  ];
  it.each(wrong)('refuses %s', (_what, value, message) => {
    expect(() => readConfig(value, '/var/lib/poolhouse/config.json')).toThrow(
      expect.objectContaining({
        code: 'InvalidConfiguration',
        message: expect.stringMatching(message) as string,
      }),
    );
    expect(() => readConfig(value, '/var/lib/poolhouse/config.json')).toThrow('/var/lib/poolhouse/config.json is not');
  });
});
