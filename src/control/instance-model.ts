/** What the instances of one model version are to have rendered and run, with digests that tell when it changes. */
import { createHash } from 'node:crypto';
import type { JsonObject } from '../core/json.ts';
import type { AskedExtension } from '../pool/scale-set-snapshot.ts';
import { readProfile, type ProfileModel } from '../providers/compute/scale-set-model.ts';
import { findModel } from '../store/instance-records.ts';
import type { Store } from '../store/store.ts';

export interface InstanceModel {
  version: string;
  sizeName: string;
  profile: ProfileModel;
  /** Of what only a new machine can have. */
  machineDigest: string;
  provisionDigest: string;
  extensions: AskedExtension[];
}

export async function readModel(
  world: { store: Store },
  scaleSetKey: string,
  version: string,
): Promise<InstanceModel | undefined> {
  const model = await findModel(world.store.db, scaleSetKey, version);
  if (model === undefined) return undefined;
  return instanceModel(version, readProfile(model.profile), model.sizeName);
}

export function instanceModel(version: string, profile: ProfileModel, sizeName: string): InstanceModel {
  return {
    version,
    sizeName,
    profile,
    machineDigest: digest({ image: { ...profile.image }, sizeName }),
    // Secrets stand in it as placeholders, which change exactly when the secrets do.
    provisionDigest: digest({ format: 2, admin: { ...profile.admin, password: profile.admin.password ?? null } }),
    extensions: profile.extensions.map((extension) => ({
      name: extension.name,
      version: digest({
        settings: extension.settings,
        protectedSettings: extension.protectedSettings ?? null,
        type: extension.type,
      }),
      provisionAfter: extension.provisionAfter,
    })),
  };
}

function digest(value: JsonObject): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 16);
}
