/**
 * Carries out what instances ask through their doors: mounting shares. Also gives out the handles that stand for
 * storage keys in scripts, so that a key itself enters no instance.
 */
import { z } from 'zod';
import { errorBodyOf } from '../core/errors.ts';
import { decideMount } from '../pool/decide-mount.ts';
import { keysOf } from '../providers/storage/storage-accounts.ts';
import { sameSecret } from '../secrets/secrets.ts';
import { findResources, nameOf, type ResourceRecord } from '../store/resource-records.ts';
import { prepareWorkspaces } from './workspaces.ts';
import type { World } from './world.ts';

export const mountRequestSchema = z.object({
  account: z.string().max(63),
  share: z.string().max(63),
  folder: z.string().max(1024).default(''),
  target: z.string().max(1024),
  username: z.string().max(256).default(''),
  password: z.string().max(1024).default(''),
  dirMode: z.string().max(8).optional(),
});
export type MountAsked = z.infer<typeof mountRequestSchema>;

export type MountAnswer = { status: 'mounted' } | { error: { code: string; message: string }; mountError: number };

export interface Mounts {
  mount(instanceName: string, asked: MountAsked, signal: AbortSignal): Promise<MountAnswer>;
  /** The text with every storage key of ours replaced by a handle for this instance, and those handles. */
  withHandles(instanceName: string, text: string): Promise<{ text: string; handles: string[] }>;
  /** Mounts refused to an instance since `since`, in words. */
  refusedSince(instanceName: string, since: number): string[];
  /** Forgets what was refused to an instance that is gone. */
  forget(instanceName: string): void;
}

const keptRefusals = 100;

export function createMounts(world: World): Mounts {
  const { store, engine, secrets, clock, log } = world;
  const refusals = new Map<string, { at: number; message: string }[]>();

  const accounts = () => findResources(store.db, { type: 'Microsoft.Storage/storageAccounts' });
  const sharesOf = async (account: ResourceRecord) =>
    (
      await findResources(store.db, {
        type: 'Microsoft.Storage/storageAccounts/fileServices/shares',
        parentKey: `${account.key}/fileservices/default`,
      })
    ).filter((share) => share.deletingSince === undefined);
  const keyValues = async (account: ResourceRecord) =>
    (await keysOf(account, { queries: store.db, secrets })).flatMap(({ value }) =>
      typeof value === 'string' && value !== '' ? [value] : [],
    );
  /** Good for one instance, and for as long as the key is one of the account. */
  const handleFor = (instanceName: string, account: ResourceRecord, key: string) =>
    `ph-${secrets.digest('mount handle', `${instanceName}\0${account.key}\0${account.createdAt}\0${key}`)}`;
  const grantOf = async (instanceName: string, account: ResourceRecord) => {
    const grant = await store.db
      .selectFrom('mount_grants')
      .select('shares_json')
      .where('instance_name', '=', instanceName)
      .where('account', '=', nameOf(account.id))
      .executeTakeFirst();
    return grant === undefined ? undefined : (JSON.parse(grant.shares_json) as string[]); // written below
  };

  async function factsOf(instanceName: string, asked: MountAsked) {
    const account = (await accounts()).find(
      (one) => nameOf(one.id) === asked.account.toLowerCase() && one.deletingSince === undefined,
    );
    if (account === undefined)
      return { accountExists: false, shareExists: false, keyFits: false, handleFor: undefined };
    const keys = await keyValues(account);
    const presents = (values: readonly string[]) =>
      asked.password !== '' && values.some((value) => sameSecret(value, asked.password));
    return {
      accountExists: true,
      shareExists: (await sharesOf(account)).some((share) => nameOf(share.id) === asked.share),
      keyFits: presents(keys),
      handleFor: presents(keys.map((key) => handleFor(instanceName, account, key)))
        ? await grantOf(instanceName, account)
        : undefined,
    };
  }

  function refuse(
    instanceName: string,
    asked: MountAsked,
    code: string,
    message: string,
    mountError: number,
  ): MountAnswer {
    const list = refusals.get(instanceName) ?? [];
    list.push({
      at: clock.now(),
      message: `mount of //${asked.account}/${asked.share} at ${asked.target} was refused: ${message}`,
    });
    refusals.set(instanceName, list.slice(-keptRefusals));
    log.warn(
      { instance: instanceName, account: asked.account, share: asked.share, target: asked.target, code },
      `mount refused: ${message}`,
    );
    return { error: { code, message }, mountError };
  }

  return {
    async mount(instanceName, asked, signal) {
      const request = {
        ...asked,
        account: asked.account.toLowerCase(),
        share: asked.share.toLowerCase(),
        target: asked.target.replace(/(.)\/+$/, '$1'),
      };
      const decision = decideMount(request, await factsOf(instanceName, request));
      if (decision.decision === 'refuse')
        return refuse(instanceName, request, decision.code, decision.message, decision.mountError);
      try {
        await engine.attachShare(
          instanceName,
          { account: request.account, share: request.share, folder: request.folder, path: request.target },
          signal,
        );
        if (request.folder === '')
          await prepareWorkspaces(
            world,
            instanceName,
            { target: request.target, rootMode: rootModeOf(request.dirMode) },
            signal,
          );
      } catch (error) {
        const { code, message } = errorBodyOf(error);
        log.error({ err: error, instance: instanceName }, 'a share could not be attached');
        return refuse(
          instanceName,
          request,
          code,
          message,
          code === 'Conflict' ? 16 : code === 'ShareNotFound' ? 2 : 5,
        );
      }
      log.info(
        { instance: instanceName, account: request.account, share: request.share, target: request.target },
        'share mounted',
      );
      world.changed();
      return { status: 'mounted' };
    },

    async withHandles(instanceName, text) {
      let result = text;
      const handles: string[] = [];
      for (const account of await accounts()) {
        const present = (await keyValues(account)).filter((value) => result.includes(value));
        if (present.length === 0) continue;
        // For the shares that the text names; where it names none, the script computes the name: then for all of the account.
        const named = (await sharesOf(account))
          .map((share) => nameOf(share.id))
          .filter((share) => new RegExp(`(^|[^a-z0-9-])${share}($|[^a-z0-9-])`).test(text));
        const earlier = await grantOf(instanceName, account);
        // What an earlier script was given stays its own: it may mount again.
        const all = named.length === 0 || earlier?.length === 0;
        const row = {
          instance_name: instanceName,
          account: nameOf(account.id),
          shares_json: JSON.stringify(all ? [] : [...new Set([...(earlier ?? []), ...named])]),
        };
        await store.transaction((tx) =>
          tx
            .insertInto('mount_grants')
            .values(row)
            .onConflict((conflict) => conflict.columns(['instance_name', 'account']).doUpdateSet(row))
            .execute(),
        );
        for (const value of present) {
          const handle = handleFor(instanceName, account, value);
          handles.push(handle);
          result = result.replaceAll(value, handle);
        }
      }
      return { text: result, handles };
    },

    refusedSince: (instanceName, since) =>
      (refusals.get(instanceName) ?? []).filter((refusal) => refusal.at >= since).map((refusal) => refusal.message),
    forget: (instanceName) => {
      refusals.delete(instanceName);
    },
  };
}

/** Who may write where a share is mounted, as the mount asks for it. */
function rootModeOf(dirMode: string | undefined): string {
  return dirMode !== undefined && /^0?[0-7]{3}$/.test(dirMode) ? dirMode : '0755';
}
