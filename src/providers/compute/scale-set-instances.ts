import { PoolhouseError } from '../../core/errors.ts';
import { dig, isObject, without, type JsonObject } from '../../core/json.ts';
import type { ResourcePath } from '../../core/resource-id.ts';
import {
  findInstance,
  findInstances,
  findModel,
  updateInstanceState,
  type InstanceRecord,
} from '../../store/instance-records.ts';
import type { ResourceRecord } from '../../store/resource-records.ts';
import { nameOf } from '../../store/resource-records.ts';
import type { LiveFacts } from '../live-facts.ts';
import { objectAt, optionalBoolean } from '../read-body.ts';
import type { ActionContext, TypeContext, VirtualType } from '../resource-type.ts';
import { modelVersion } from './model-version.ts';
import { provisioningStateOf } from './provisioning-state.ts';
import { changeOne, deleteInstances, instanceChanges, type InstanceActionName } from './scale-set-actions.ts';
import { uuidOf } from './scale-sets.ts';

const type = 'Microsoft.Compute/virtualMachineScaleSets/virtualMachines';

/** The instances of a scale set: derived from what was made, never put by themselves except for their protection. */
export function scaleSetInstances(live: LiveFacts): VirtualType {
  return {
    kind: 'virtual',
    type,
    async get(parent, path, context, expand) {
      return present(parent, await require(parent, path, context), context, expand);
    },
    async list(parent, context, expand) {
      const instances = await findInstances(context.queries, parent.key);
      // A standby is no instance of the set until it joins; by its id it can be looked at all the same.
      const members = instances.filter(({ state }) => state.standby === undefined);
      return Promise.all(members.map((instance) => present(parent, instance, context, expand)));
    },
    async put(parent, path, body, context) {
      const instance = await require(parent, path, context);
      const policy = objectAt(body, 'properties', 'protectionPolicy');
      await updateInstanceState(context.queries, instance, (state) => ({
        ...state,
        protectFromScaleIn: optionalBoolean(policy, 'protectFromScaleIn') ?? false,
        protectFromScaleSetActions: optionalBoolean(policy, 'protectFromScaleSetActions') ?? false,
      }));
      return parent.document;
    },
    actions: {
      delete: async (parent, path, _body, context) =>
        deleteInstances(parent, [await require(parent, path, context)], context),
      instanceview: async (parent, path, _body, context) => ({ body: view(await require(parent, path, context)) }),
      ...Object.fromEntries(
        (Object.keys(instanceChanges) as InstanceActionName[]).map((name) => [
          name,
          async (parent: ResourceRecord, path: ResourcePath, _body: JsonObject, context: ActionContext) =>
            changeOne(parent, await require(parent, path, context), name, context),
        ]),
      ),
    },
  };

  async function require(parent: ResourceRecord, path: ResourcePath, context: TypeContext): Promise<InstanceRecord> {
    const name = path.names.at(-1) ?? '';
    const instance = /^\d{1,9}$/.test(name) ? await findInstance(context.queries, parent.key, Number(name)) : undefined;
    if (instance === undefined) {
      throw new PoolhouseError(
        'ResourceNotFound',
        `The entity was not found: the scale set '${nameOf(parent.id)}' has no instance '${name.slice(0, 40)}'.`,
      );
    }
    return instance;
  }

  function view(instance: InstanceRecord): JsonObject {
    const now = live.instance(instance.name);
    const power = now?.power ?? 'absent';
    const extensions = Object.entries(instance.state.extensions);
    return {
      placementGroupId: null,
      statuses: [
        {
          code: `ProvisioningState/${provisioningStateOf(instance.state).toLowerCase()}`,
          level: 'Info',
          displayStatus: `Provisioning ${provisioningStateOf(instance.state).toLowerCase()}`,
          ...(instance.state.failure === undefined ? {} : { message: instance.state.failure.message }),
        },
        {
          code: `PowerState/${power === 'absent' ? 'unknown' : power === 'stopped' ? 'deallocated' : power}`,
          level: 'Info',
          displayStatus: power === 'stopped' ? 'VM deallocated' : `VM ${power}`,
        },
        ...(now === undefined || now.mounts === ''
          ? []
          : [{ code: 'MountState/bad', level: 'Error', displayStatus: 'Mounts are bad', message: now.mounts }]),
      ],
      vmHealth: {
        status: {
          code: `HealthState/${now?.healthy === true ? 'healthy' : 'unhealthy'}`,
          level: 'Info',
          displayStatus: now?.inRotation === true ? 'in rotation' : (now?.reason ?? 'not known yet'),
        },
      },
      extensions: extensions.map(([name, extension]) => ({
        name,
        type: 'Microsoft.Azure.Extensions.CustomScript',
        typeHandlerVersion: '2.0',
        statuses: [
          {
            code: `ProvisioningState/${extension.status === 'succeeded' ? 'succeeded' : extension.status === 'failed' ? 'failed' : 'transitioning'}${extension.exitCode === undefined || extension.exitCode === 0 ? '' : `/${extension.exitCode}`}`,
            level: extension.status === 'failed' ? 'Error' : 'Info',
            displayStatus: `Provisioning ${extension.status}`,
            message: extension.message,
            ...(extension.endedAt === undefined ? {} : { time: new Date(extension.endedAt).toISOString() }),
          },
        ],
      })),
    };
  }

  async function present(
    parent: ResourceRecord,
    instance: InstanceRecord,
    context: TypeContext,
    expand?: string,
  ): Promise<JsonObject> {
    const model = await findModel(context.queries, parent.key, instance.modelVersion);
    const osProfile = without(
      objectAt(model?.profile ?? {}, 'osProfile'),
      'adminPassword',
      'customData',
      'computerNamePrefix',
    );
    const storage = dig(model?.profile, 'storageProfile');
    const id = `${parent.id}/virtualMachines/${instance.instanceId}`;
    const nic = dig(model?.profile, 'networkProfile', 'networkInterfaceConfigurations', 0, 'name');
    return {
      id,
      name: `${nameOf(parent.id)}_${instance.instanceId}`,
      instanceId: String(instance.instanceId),
      type,
      ...(typeof parent.document['location'] === 'string' ? { location: parent.document['location'] } : {}),
      ...(instance.state.zone === undefined ? {} : { zones: [instance.state.zone] }),
      sku: { name: model?.sizeName ?? null, tier: 'Standard' },
      properties: {
        latestModelApplied: modelVersion(parent.document) === instance.modelVersion,
        vmId: uuidOf(id),
        hardwareProfile: {},
        storageProfile: isObject(storage) ? storage : {},
        osProfile: { ...osProfile, computerName: instance.hostname },
        networkProfile: {
          networkInterfaces: [{ id: `${id}/networkInterfaces/${typeof nic === 'string' ? nic : 'nic'}` }],
        },
        protectionPolicy: {
          // Who works on it protects it, as long as they do.
          protectFromScaleIn: instance.state.protectFromScaleIn || live.instance(instance.name)?.active === true,
          protectFromScaleSetActions: instance.state.protectFromScaleSetActions,
        },
        provisioningState: provisioningStateOf(instance.state),
        timeCreated: new Date(instance.createdAt).toISOString(),
        privateIPAddress: instance.address,
        ...(expand?.toLowerCase() === 'instanceview' ? { instanceView: view(instance) } : {}),
      },
    };
  }
}

/** `…/virtualMachineScaleSets/NAME/extensions/NAME`: the extensions of the model, without their secrets. */
export function presentExtension(parent: ResourceRecord, child: JsonObject): JsonObject {
  const properties = without(objectAt(child, 'properties'), 'protectedSettings');
  const name = typeof child['name'] === 'string' ? child['name'] : '';
  return {
    ...child,
    id: `${parent.id}/extensions/${name}`,
    type: 'Microsoft.Compute/virtualMachineScaleSets/extensions',
    properties: { ...properties, provisioningState: parent.provisioningState },
  };
}
