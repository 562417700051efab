/** What an installation has in the daemon beside instances: a project, a bridge, two storage pools. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { z } from 'zod';
import { PoolhouseError } from '../../core/errors.ts';
import type { EngineNetwork } from '../engine.ts';
import type { EngineNames } from './names.ts';
import { isMissing, isPresent, unless, type RestClient } from './rest-client.ts';
import { chooseSubnet } from './subnet.ts';

export interface PlacesOptions {
  /** 8 hexadecimal digits: part of every name. */
  installation: string;
  /** CIDR from which the installation's network is taken. */
  addressRange: string;
  /** Size of the instances' and of the shares' storage, each a sparse file. */
  poolBytes: number;
}

const networkSchema = z.object({ config: z.record(z.string(), z.string()) });

/** Makes what is missing. @returns the network */
export async function preparePlaces(
  client: RestClient,
  names: EngineNames,
  options: PlacesOptions,
  signal: AbortSignal,
): Promise<EngineNetwork> {
  await unless(isPresent, () =>
    client.change(
      'POST',
      '/1.0/projects',
      {
        name: names.project,
        description: 'Poolhouse',
        config: {
          'features.images': 'true',
          'features.profiles': 'true',
          'features.storage.volumes': 'true',
          'features.networks': 'false',
        },
      },
      signal,
    ),
  );
  const network = await prepareNetwork(client, names, options, signal);
  const pool = (name: string, mountOptions: string) =>
    unless(isPresent, () =>
      client.change(
        'POST',
        '/1.0/storage-pools',
        {
          name,
          driver: 'btrfs',
          description: `Poolhouse ${options.installation}`,
          config: {
            size: `${Math.max(5, Math.round(options.poolBytes / 2 ** 30))}GiB`,
            'btrfs.mount_options': mountOptions,
          },
        },
        signal,
      ),
    );
  await pool(names.instancePool, 'user_subvol_rm_allowed');
  await pool(names.sharePool, 'nosuid,nodev,user_subvol_rm_allowed');
  return network;
}

/** Removes them; what is left in the project is removed first. Nil when already gone. */
export async function removePlaces(client: RestClient, names: EngineNames, signal: AbortSignal): Promise<void> {
  const { project } = names;
  const images = (await unless(isMissing, () => client.get(`/1.0/images?project=${project}`, signal))) ?? [];
  for (const image of z.array(z.string()).parse(images)) {
    await unless(isMissing, () =>
      client.change(
        'DELETE',
        `/1.0/images/${image.split('/').at(-1)?.split('?')[0] ?? ''}?project=${project}`,
        undefined,
        signal,
      ),
    );
  }
  await unless(isMissing, () => client.change('DELETE', `/1.0/projects/${project}`, undefined, signal));
  for (const pool of [names.instancePool, names.sharePool])
    await unless(isMissing, () => client.change('DELETE', `/1.0/storage-pools/${pool}`, undefined, signal));
  await unless(isMissing, () => client.change('DELETE', `/1.0/networks/${names.network}`, undefined, signal));
}

async function prepareNetwork(
  client: RestClient,
  names: EngineNames,
  options: PlacesOptions,
  signal: AbortSignal,
): Promise<EngineNetwork> {
  const path = `/1.0/networks/${names.network}`;
  let found = await unless(isMissing, () => client.get(path, signal));
  if (found === undefined) {
    const chosen = chooseSubnet(options.addressRange, await hostRoutes(), options.installation);
    if (chosen === undefined) {
      throw new PoolhouseError(
        'HostNotReady',
        `No free /22 network was found in ${options.addressRange}: every part of it overlaps a route of this host. Set another 'instanceRange' in config.json.`,
      );
    }
    const config = {
      'ipv4.address': `${chosen.gateway}/${chosen.subnet.split('/')[1] ?? ''}`,
      'ipv4.nat': 'true',
      'ipv4.dhcp': 'true',
      'ipv6.address': 'none',
      'dns.mode': 'none',
    };
    await unless(isPresent, () =>
      client.change(
        'POST',
        '/1.0/networks',
        { name: names.network, type: 'bridge', description: `Poolhouse ${options.installation}`, config },
        signal,
      ),
    );
    found = await client.get(path, signal);
  }
  const address = networkSchema.parse(found).config['ipv4.address'] ?? '';
  const [gateway = '', bits = '22'] = address.split('/');
  return { gateway, subnet: `${networkOf(gateway, Number(bits))}/${bits}` };
}

function networkOf(address: string, bits: number): string {
  const number = address.split('.').reduce((sum, part) => sum * 256 + Number(part), 0);
  const base = Math.floor(number / 2 ** (32 - bits)) * 2 ** (32 - bits);
  return [24, 16, 8, 0].map((shift) => Math.floor(base / 2 ** shift) % 256).join('.');
}

/** All the host's IPv4 routes and own addresses, of every table. */
async function hostRoutes(): Promise<string[]> {
  const { stdout } = await promisify(execFile)('ip', ['-j', '-4', 'route', 'show', 'table', 'all'], {
    timeout: 10_000,
  });
  const routes = z
    .array(z.looseObject({ dst: z.string().optional() }))
    .parse(JSON.parse(stdout === '' ? '[]' : stdout));
  return routes.flatMap((route) => (route.dst === undefined ? [] : [route.dst]));
}
