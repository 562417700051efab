import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readConfig } from '../core/config.ts';
import { homeAt, type Home } from '../core/home.ts';
import { ensureInstallation, leaveTakenPort, readInstallation } from './installations.ts';

const config = readConfig({ engine: 'sim' }, 'config.json');

describe('an installation', () => {
  let folder: string;
  let home: Home;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'poolhouse-installation-'));
    home = homeAt(join(folder, 'home'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is made once, for its owner only', async () => {
    expect(await readInstallation(home)).toBeUndefined();
    const made = await ensureInstallation(home, config);
    expect(await ensureInstallation(home, config)).toEqual(made);
    expect(await readInstallation(home)).toEqual(made);
    for (const path of [home.folder, home.secrets, home.backups, home.logs])
      expect((await stat(path)).mode & 0o777).toBe(0o700);
    expect((await stat(home.installation)).mode & 0o777).toBe(0o600);
  });

  it('is another one than its neighbour', async () => {
    const config = readConfig({ engine: 'incus' }, 'config.json');
    const one = await ensureInstallation(home, config);
    const busy = createServer();
    // Where somebody else listens by now, it is taken as well.
    await new Promise<unknown>((resolve) =>
      busy.once('error', resolve).listen(one.apiPort, '127.0.0.1', () => resolve(0)),
    );
    try {
      const other = await ensureInstallation(homeAt(join(folder, 'other')), config);
      for (const name of ['id', 'apiPort', 'subscriptionId', 'tenantId', 'clientId'] as const)
        expect(other[name]).not.toBe(one[name]);
    } finally {
      busy.close();
    }
  });

  it('takes no port among those of installations with an engine, where it simulates: it may begin while one of those is on its way', async () => {
    const withEngine = await ensureInstallation(home, readConfig({ engine: 'incus' }, 'config.json'));
    const simulated = await ensureInstallation(homeAt(join(folder, 'other')), config);
    expect(withEngine.apiPort).toBeGreaterThanOrEqual(8_943);
    expect(withEngine.apiPort).toBeLessThan(9_143);
    expect(simulated.apiPort).toBeGreaterThanOrEqual(17_000);
  });

  it('leaves a block and ports that another has claimed, as after a restore beside others', async () => {
    const made = await ensureInstallation(home, config);
    const taken = { ports: new Set([made.apiPort]), blocks: new Set([made.addressBlock]) };
    const moved = await leaveTakenPort(home, await ensureInstallation(home, config, taken), config, taken);
    expect(moved.apiPort).not.toBe(made.apiPort);
    expect(moved.addressBlock).not.toBe(made.addressBlock);
    expect(moved).toEqual({ ...made, apiPort: moved.apiPort, addressBlock: moved.addressBlock });
    expect(await readInstallation(home)).toEqual(moved);
  });

  it('takes the port that the operator sets, also later', async () => {
    const made = await ensureInstallation(home, { ...config, apiPort: 20_001 });
    expect(made.apiPort).toBe(20_001);
    expect(await ensureInstallation(home, config)).toEqual(made);
    expect(await ensureInstallation(home, { ...config, apiPort: 20_002 })).toEqual({ ...made, apiPort: 20_002 });
    expect(await readInstallation(home)).toEqual({ ...made, apiPort: 20_002 });
  });

  it('has ports for health and metrics, three different ones with that of the API', async () => {
    const made = await ensureInstallation(home, config);
    const { control = 0, gateway = 0 } = made.metricsPorts ?? {};
    expect(new Set([made.apiPort, control, gateway]).size).toBe(3);
    const moved = await ensureInstallation(home, { ...config, metricsPorts: { gateway: 20_011 } });
    expect(moved).toEqual({ ...made, metricsPorts: { control, gateway: 20_011 } });
    expect(await ensureInstallation(home, config)).toEqual(moved);
    // What the operator gives to one is not the other's any more.
    const given = await ensureInstallation(home, { ...config, metricsPorts: { gateway: control } });
    expect(given.metricsPorts?.gateway).toBe(control);
    expect(given.metricsPorts?.control).not.toBe(control);
  });

  it('has a port for files, which is none of the others', async () => {
    const made = await ensureInstallation(home, config);
    expect([made.apiPort, ...Object.values(made.metricsPorts ?? {}), undefined]).not.toContain(made.filesPort);
    const moved = await ensureInstallation(home, { ...config, filesPort: 20_012 });
    expect(moved).toEqual({ ...made, filesPort: 20_012 });
    expect(await ensureInstallation(home, config)).toEqual(moved);
    await expect(ensureInstallation(home, { ...config, filesPort: made.apiPort })).rejects.toMatchObject({
      code: 'InvalidConfiguration',
      message: expect.stringContaining(`'filesPort'`) as string,
    });
    const busy = createServer();
    await new Promise<void>((resolve) => busy.listen(20_012, '127.0.0.1', resolve));
    try {
      const left = await leaveTakenPort(home, moved, config, { ports: new Set(), blocks: new Set() });
      expect(left).toEqual({ ...moved, filesPort: left.filesPort });
      expect(left.filesPort).toBeGreaterThan(20_012);
      expect(await readInstallation(home)).toEqual(left);
    } finally {
      busy.close();
    }
  });

  it('from before gets such ports, and keeps all else', async () => {
    const { metricsPorts: _later, filesPort: _still, ...before } = await ensureInstallation(home, config);
    await writeFile(home.installation, JSON.stringify(before));
    expect(await readInstallation(home)).toEqual(before);
    const now = await ensureInstallation(home, config);
    expect(now).toMatchObject(before);
    expect(now.metricsPorts).toBeDefined();
    expect(now.filesPort).toBeDefined();
    expect(await readInstallation(home)).toEqual(now);
  });

  it.each([
    { apiPort: 20_001, metricsPorts: { control: 20_001 } },
    { apiPort: 20_001, metricsPorts: { control: 20_002, gateway: 20_002 } },
  ])('has no port twice: %j', async (ports) => {
    await expect(ensureInstallation(home, { ...config, ...ports })).rejects.toMatchObject({
      code: 'InvalidConfiguration',
      message: expect.stringContaining('three different ports') as string,
    });
    expect(await readInstallation(home)).toBeUndefined();
  });

  it.each(['{"id": ', '{}', '[]'])('that is damaged is not made anew: %s', async (text) => {
    await ensureInstallation(home, config);
    await writeFile(home.installation, text);
    await expect(ensureInstallation(home, config)).rejects.toMatchObject({
      code: 'InvalidConfiguration',
      message: `${home.installation} is damaged. Restore it from a backup.`,
    });
    expect(await readFile(home.installation, 'utf8')).toBe(text);
  });

  it('says where it cannot be', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(ensureInstallation(homeAt(join(folder, 'file', 'home')), config)).rejects.toMatchObject({
      code: 'HostNotReady',
      message: expect.stringContaining('set POOLHOUSE_HOME') as string,
    });
  });
});
