/**
 * The other gateways of this installation: which ports they have, and where people are whom they carry. Asked on their
 * sockets at the moment when it matters; one that does not answer is not there.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z, type ZodType } from 'zod';
import {
  askGateway,
  gatewaySerials,
  gatewaySocketName,
  gatewayStateSchema,
  placesSchema,
  type GatewayQuestion,
  type Places,
} from '../link/gateway-words.ts';
import type { EndedSignIn } from '../link/ended-sign-ins.ts';

export interface Siblings {
  /** Whether one of them listens on this port. */
  haveOpen: (port: number) => Promise<boolean>;
  /** What each of them knows of where somebody is. */
  placesOf(pool: string, user: string): Promise<Places[]>;
  /** Has each know at once, and tell control too: one that is killed takes nothing with it. Never rejects. */
  tellEnded(ended: EndedSignIn): Promise<void>;
  /** The answers of all. */
  ask<T>(question: GatewayQuestion, schema: ZodType<T>): Promise<T[]>;
}

/** @param folder where gateways have their sockets; this one is left out */
export function createSiblings(folder: string, own: number): Siblings {
  async function ask<T>(question: GatewayQuestion, schema: ZodType<T>): Promise<T[]> {
    const names = await readdir(folder).catch(() => []);
    const answers = await Promise.allSettled(
      gatewaySerials(names)
        .filter((serial) => serial !== own)
        .map((serial) => askGateway(join(folder, gatewaySocketName(serial)), question, schema)),
    );
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? [answer.value] : []));
  }
  let asking: Promise<Set<number>> | undefined;
  /** A gateway that begins opens all of its ports at the same time: they are asked for once. */
  function openPorts(): Promise<Set<number>> {
    asking ??= ask({ ask: 'state' }, gatewayStateSchema)
      .then((states) => new Set(states.flatMap(({ ports }) => ports)))
      .finally(() => {
        asking = undefined;
      });
    return asking;
  }
  return {
    ask,
    haveOpen: async (port) => (await openPorts()).has(port),
    placesOf: (pool, user) => ask({ ask: 'places', pool, user }, placesSchema),
    async tellEnded(ended) {
      await ask({ ask: 'ended sign-in', ended }, z.object({}));
    },
  };
}

/** One that has none: its ports are its own. */
export const noSiblings: Siblings = {
  ask: () => Promise.resolve([]),
  haveOpen: () => Promise.resolve(false),
  placesOf: () => Promise.resolve([]),
  tellEnded: () => Promise.resolve(),
};
