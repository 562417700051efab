import { existsSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { engineSetup, enginePackages, missingPackages, parseDistribution, type PresentTools } from './packages.ts';

const bare: PresentTools = { engine: undefined, snap: true };
const release = (id: string, version: string, name = `${id} ${version}`) => ({ id, version, name });
const helpers = ['dnsmasq-base', 'uidmap', 'lxcfs'];

describe('how a distribution comes to an engine', () => {
  it.each([
    [release('debian', '12'), ['lxd', 'lxd-client'], []],
    [release('debian', '13'), ['incus'], []],
    [release('debian', '', 'Debian GNU/Linux forky/sid'), ['incus'], []],
    [release('ubuntu', '22.04'), [], [['lxd', '--channel=5.21/stable']]],
    [release('ubuntu', '23.10'), [], [['lxd', '--channel=5.21/stable']]],
    [release('ubuntu', '24.04'), ['incus'], []],
    [release('ubuntu', '26.04'), ['incus'], []],
  ])('%j', (distribution, engine, snaps) => {
    const setup = engineSetup(distribution, bare);
    expect(setup.snaps).toEqual(snaps);
    expect(setup.packages.filter((name) => /^(incus|lxd)/.test(name))).toEqual(engine);
    // A snap brings its own.
    expect(setup.packages.filter((name) => helpers.includes(name))).toEqual(snaps.length === 0 ? helpers : []);
    expect(setup.packages).toEqual(expect.arrayContaining(['mmdebstrap', 'nftables', 'iproute2', 'ca-certificates']));
    expect(enginePackages(distribution)).toEqual(setup.packages);
  });

  it.each([
    [release('debian', '12'), 'incus'],
    [release('ubuntu', '22.04'), 'incus'],
    [release('ubuntu', '24.04'), 'lxd-snap'],
  ] as const)('%j uses the %s that is there', (distribution, engine) => {
    const setup = engineSetup(distribution, { engine, snap: false });
    expect(setup.snaps).toEqual([]);
    expect(setup.packages.filter((name) => /^(incus|lxd)/.test(name))).toEqual([]);
    expect(setup.packages).toContain('nftables');
  });

  it('says what to do on Ubuntu 22.04 without snaps', () => {
    expect(() => engineSetup(release('ubuntu', '22.04', 'Ubuntu 22.04.5 LTS'), { ...bare, snap: false })).toThrow(
      expect.objectContaining({
        code: 'HostNotReady',
        message: expect.stringMatching(/^Ubuntu 22\.04\.5 LTS has LXD as a snap only.*snap install lxd/) as string,
      }),
    );
  });

  it.each([
    [release('debian', '11', 'Debian GNU/Linux 11'), 'Debian GNU/Linux 11 is not supported'],
    [release('ubuntu', '20.04', 'Ubuntu 20.04.6 LTS'), 'Ubuntu 20.04.6 LTS is not supported'],
    [release('fedora', '42', 'Fedora Linux 42'), 'Fedora Linux 42 is not supported'],
    [release('', '', ''), 'This system is not supported'],
  ])('%j has none', (distribution, words) => {
    expect(() => engineSetup(distribution, bare)).toThrow(words);
    expect(() => engineSetup(distribution, bare)).toThrow('poolhouse up --engine sim');
  });
});

describe('the name of a distribution', () => {
  it.each([
    [
      'ID=debian\nVERSION_ID="12"\nPRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\n',
      'debian',
      '12',
      'Debian GNU/Linux 12 (bookworm)',
    ],
    [
      'PRETTY_NAME="Ubuntu 24.04.1 LTS"\nVERSION_ID="24.04"\nID=ubuntu\nID_LIKE=debian',
      'ubuntu',
      '24.04',
      'Ubuntu 24.04.1 LTS',
    ],
    ['PRETTY_NAME="Debian GNU/Linux trixie/sid"\nID=debian', 'debian', '', 'Debian GNU/Linux trixie/sid'],
    ['', '', '', ''],
  ])('is read from %j', (text, id, version, name) => {
    expect(parseDistribution(text)).toEqual({ id, version, name });
  });
});

describe('missing packages', () => {
  it.runIf(existsSync('/usr/bin/dpkg-query'))('are those that dpkg does not have installed', async () => {
    expect(await missingPackages(['dpkg', 'no-such-package'])).toEqual(['no-such-package']);
    expect(await missingPackages([])).toEqual([]);
  });
});
