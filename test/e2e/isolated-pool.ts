/** A pool whose script mounts a share as published ones do, by `/etc/fstab`: the base image, and a front end for people's ssh. */
import type { JsonObject } from '../../src/core/json.ts';

const balancer = "[resourceId('Microsoft.Network/loadBalancers', 'isolated-lb')]";
const part = (kind: string, of: string) => ({ id: `[concat(variables('balancer'), '/${kind}/${of}')]` });
const location = 'westeurope';
const apiVersion = '2022-07-01';
const account = 'isolatedfiles';

export function isolatedPool({ tags, capacity }: { tags: JsonObject; capacity: number }): JsonObject {
  const entry = `//${account}.file.core.windows.net/shared /mnt/shared cifs vers=3.0,username=${account},password=`;
  const command = `[concat('set -e; mkdir -p /mnt/shared; echo "${entry}', listKeys(resourceId('Microsoft.Storage/storageAccounts', '${account}'), '2022-09-01').keys[0].value, ',dir_mode=0777,file_mode=0777 0 0" >> /etc/fstab; mount /mnt/shared')]`;
  return {
    $schema: 'https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#',
    contentVersion: '1.0.0.0',
    parameters: { adminPassword: { type: 'securestring' } },
    variables: { balancer },
    resources: [
      {
        ...{ type: 'Microsoft.Storage/storageAccounts', apiVersion: '2022-09-01', name: account, location },
        ...{ kind: 'StorageV2', sku: { name: 'Standard_LRS' }, properties: {} },
      },
      {
        type: 'Microsoft.Storage/storageAccounts/fileServices/shares',
        ...{ apiVersion: '2022-09-01', name: `${account}/default/shared`, properties: { shareQuota: 2 } },
        dependsOn: [`[resourceId('Microsoft.Storage/storageAccounts', '${account}')]`],
      },
      {
        ...{ type: 'Microsoft.Network/virtualNetworks', apiVersion, name: 'isolated-net', location },
        properties: {
          addressSpace: { addressPrefixes: ['10.0.0.0/16'] },
          subnets: [{ name: 'all', properties: { addressPrefix: '10.0.0.0/24' } }],
        },
      },
      {
        ...{ type: 'Microsoft.Network/publicIPAddresses', apiVersion, name: 'isolated-ip', location },
        properties: { publicIPAllocationMethod: 'Static' },
      },
      {
        ...{ type: 'Microsoft.Network/loadBalancers', apiVersion, name: 'isolated-lb', location },
        dependsOn: ['isolated-ip'],
        properties: {
          frontendIPConfigurations: [
            {
              name: 'front',
              properties: {
                publicIPAddress: { id: "[resourceId('Microsoft.Network/publicIPAddresses', 'isolated-ip')]" },
              },
            },
          ],
          backendAddressPools: [{ name: 'back' }],
          probes: [{ name: 'ssh', properties: { protocol: 'Tcp', port: 22, intervalInSeconds: 5, numberOfProbes: 2 } }],
          loadBalancingRules: [
            {
              name: 'ssh',
              properties: {
                ...{ protocol: 'Tcp', frontendPort: 22, backendPort: 22, probe: part('probes', 'ssh') },
                frontendIPConfiguration: part('frontendIPConfigurations', 'front'),
                backendAddressPool: part('backendAddressPools', 'back'),
              },
            },
          ],
        },
      },
      {
        type: 'Microsoft.Compute/virtualMachineScaleSets',
        ...{ apiVersion: '2022-08-01', name: 'isolated', location, tags },
        dependsOn: [
          'isolated-lb',
          'isolated-net',
          `[resourceId('Microsoft.Storage/storageAccounts/fileServices/shares', '${account}', 'default', 'shared')]`,
        ],
        sku: { name: 'Standard_B1s', capacity },
        properties: {
          ...{ overprovision: false, upgradePolicy: { mode: 'Manual' } },
          virtualMachineProfile: {
            storageProfile: {
              imageReference: { publisher: 'Debian', offer: 'debian-12', sku: '12', version: 'latest' },
            },
            osProfile: {
              ...{ computerNamePrefix: 'iso', adminUsername: 'azure', adminPassword: "[parameters('adminPassword')]" },
            },
            networkProfile: {
              networkInterfaceConfigurations: [
                {
                  name: 'nic',
                  properties: {
                    primary: true,
                    ipConfigurations: [
                      {
                        name: 'ip',
                        properties: {
                          subnet: {
                            id: "[concat(resourceId('Microsoft.Network/virtualNetworks', 'isolated-net'), '/subnets/all')]",
                          },
                          loadBalancerBackendAddressPools: [part('backendAddressPools', 'back')],
                        },
                      },
                    ],
                  },
                },
              ],
            },
            extensionProfile: {
              extensions: [
                {
                  name: 'files',
                  properties: {
                    ...{ publisher: 'Microsoft.Azure.Extensions', type: 'CustomScript', typeHandlerVersion: '2.1' },
                    ...{ settings: {}, protectedSettings: { commandToExecute: command } },
                  },
                },
              ],
            },
          },
        },
      },
    ],
  };
}
