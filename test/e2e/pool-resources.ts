/** A small pool as a template's resources: what tests deploy that look at one thing of it. */
import type { JsonObject } from '../../src/core/json.ts';

export const poolUser = 'carol';
export const poolPassword = 'Correct-Horse-7';
const resourceId = (type: string, name: string) => `[resourceId('Microsoft.${type}', '${name}')]`;

export interface PoolParts {
  name: string;
  /** What its script runs; `SECRET` in it becomes the secure parameter `secret`. None: it has no script. */
  command?: string;
  capacity?: number;
  tags?: JsonObject;
  prefix?: string;
  publicKey?: string;
  /** A public address, and a port of it to each instance: 50000 and so on, to its sshd. */
  natPorts?: true;
  /** What the scale set waits for besides its network. */
  dependsOn?: string[];
}

/** A network and a scale set in it, of the small image. */
export function poolResources({
  name,
  command,
  capacity = 1,
  tags = {},
  prefix = '10.0.0.0/16',
  publicKey,
  natPorts,
  dependsOn = [],
}: PoolParts): JsonObject[] {
  const subnet = `[concat(resourceId('Microsoft.Network/virtualNetworks', '${name}-net'), '/subnets/all')]`;
  const text = command?.replaceAll("'", "''").split('SECRET').join(`', parameters('secret'), '`);
  const extension = (commandToExecute: string): JsonObject => ({
    name: 'setup',
    properties: {
      publisher: 'Microsoft.Azure.Extensions',
      type: 'CustomScript',
      typeHandlerVersion: '2.0',
      settings: { commandToExecute },
    },
  });
  const balancer = `${name}-lb`;
  const part = (kind: string, of: string) => ({
    id: `[concat(resourceId('Microsoft.Network/loadBalancers', '${balancer}'), '/${kind}/${of}')]`,
  });
  const address: JsonObject = {
    subnet: { id: subnet },
    ...(natPorts === undefined ? {} : { loadBalancerInboundNatPools: [part('inboundNatPools', 'ssh')] }),
  };
  const frontEnd: JsonObject[] = [
    {
      type: 'Microsoft.Network/publicIPAddresses',
      apiVersion: '2022-07-01',
      name: `${name}-ip`,
      location: 'westeurope',
      properties: { publicIPAllocationMethod: 'Static' },
    },
    {
      type: 'Microsoft.Network/loadBalancers',
      apiVersion: '2022-07-01',
      name: balancer,
      location: 'westeurope',
      dependsOn: [`${name}-ip`],
      properties: {
        frontendIPConfigurations: [
          {
            name: 'front',
            properties: { publicIPAddress: { id: resourceId('Network/publicIPAddresses', `${name}-ip`) } },
          },
        ],
        inboundNatPools: [
          {
            name: 'ssh',
            properties: {
              frontendIPConfiguration: part('frontendIPConfigurations', 'front'),
              protocol: 'Tcp',
              frontendPortRangeStart: 50_000,
              frontendPortRangeEnd: 50_009,
              backendPort: 22,
            },
          },
        ],
      },
    },
  ];
  return [
    ...(natPorts === undefined ? [] : frontEnd),
    {
      type: 'Microsoft.Network/virtualNetworks',
      apiVersion: '2022-07-01',
      name: `${name}-net`,
      location: 'westeurope',
      properties: {
        addressSpace: { addressPrefixes: [prefix] },
        subnets: [{ name: 'all', properties: { addressPrefix: prefix } }],
      },
    },
    {
      type: 'Microsoft.Compute/virtualMachineScaleSets',
      apiVersion: '2022-08-01',
      name,
      location: 'westeurope',
      tags,
      dependsOn: [
        resourceId('Network/virtualNetworks', `${name}-net`),
        ...(natPorts === undefined ? [] : [resourceId('Network/loadBalancers', balancer)]),
        ...dependsOn,
      ],
      sku: { name: 'Standard_B1s', capacity },
      properties: {
        upgradePolicy: { mode: 'Manual' },
        virtualMachineProfile: {
          storageProfile: { imageReference: { publisher: 'Debian', offer: 'debian-12', sku: '12', version: 'latest' } },
          osProfile: {
            computerNamePrefix: name,
            adminUsername: poolUser,
            ...(publicKey === undefined
              ? { adminPassword: poolPassword }
              : {
                  linuxConfiguration: {
                    disablePasswordAuthentication: true,
                    ssh: { publicKeys: [{ path: `/home/${poolUser}/.ssh/authorized_keys`, keyData: publicKey }] },
                  },
                }),
          },
          networkProfile: {
            networkInterfaceConfigurations: [
              {
                name: 'nic',
                properties: {
                  primary: true,
                  ipConfigurations: [{ name: 'ip', properties: address }],
                },
              },
            ],
          },
          ...(text === undefined ? {} : { extensionProfile: { extensions: [extension(`[concat('${text}')]`)] } }),
        },
      },
    },
  ];
}
