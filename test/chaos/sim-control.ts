/** A whole control on simulated instances, without a process: made on a store, driven pass by pass, and left when it dies. */
import { pino } from 'pino';
import { assembleControl, type Control, type ControlParts } from '../../src/control/assemble.ts';
import type { Presence } from '../../src/control/bindings.ts';
import { createImageKeeper } from '../../src/control/image-keeper.ts';
import { createListenPorts } from '../../src/control/listen-ports.ts';
import type { Clock } from '../../src/core/time.ts';
import type { SimEngine } from '../../src/engines/sim/sim-engine.ts';
import { openKeyring } from '../../src/secrets/keyring.ts';
import { createSecrets } from '../../src/secrets/secrets.ts';
import { openStore } from '../../src/store/store.ts';
import { mortalDialect, mortalEngine, type Life } from './mortal.ts';

export const subscriptionId = '00000000-0000-4000-8000-000000000001';
const masterKey = Buffer.alloc(32, 7);

/** A clock that goes when somebody waits. */
export function createTestClock(): Clock & { advance(milliseconds: number): void } {
  let now = Date.UTC(2026, 0, 1);
  return {
    now: () => now,
    advance: (milliseconds) => {
      now += milliseconds;
    },
    sleep: (milliseconds) => {
      now += milliseconds;
      return Promise.resolve();
    },
  };
}

export interface SimControl extends Control {
  /** Looks once through every loop, and lets what that began come to its end. */
  turn(): Promise<void>;
  close(): Promise<void>;
}

export async function startSimControl(
  file: string,
  engine: SimEngine,
  clock: Clock & { advance(milliseconds: number): void },
  life: Life,
  ids: () => string,
  presences: () => Promise<readonly Presence[]> = () => Promise.resolve([]),
  others: Partial<ControlParts> = {},
): Promise<SimControl> {
  const mortal = mortalEngine(engine, life);
  const store = await openStore(file, { dialect: mortalDialect(life) });
  const secrets = createSecrets((await openKeyring(store, [masterKey], clock.now())).keyring);
  const log = pino({ level: process.env['POOLHOUSE_CHAOS_LOG'] ?? 'silent' });
  const stopping = new AbortController();
  const images = createImageKeeper({
    engine: mortal,
    fingerprint: () => Promise.resolve('0'.repeat(64)),
    build: () => Promise.reject(new Error('simulated images are not built')),
    clock,
    log,
    signal: stopping.signal,
    changed: () => undefined,
  });
  const control = assembleControl({
    store,
    secrets,
    engine: mortal,
    images,
    surroundings: { engine: engine.capabilities(), recipeOf: () => 'simulated' },
    subscription: { subscriptionId, tenantId: subscriptionId, displayName: 'chaos' },
    addresses: Array.from({ length: 20 }, (_, index) => `127.77.1.${10 + index}`),
    ports: createListenPorts(store, 'chaos'),
    doorFolders: { folder: '/nonexistent', shortcut: '/nonexistent' },
    fetch: () => Promise.reject(new Error('nothing is fetched')),
    hashPassword: () => Promise.reject(new Error('nothing is hashed')),
    publish: () => undefined,
    redirect: () => Promise.resolve(),
    servicesOf: () => Promise.resolve({}),
    sshIdentity: { hostKeys: [], userAuthority: '', userAuthorityLine: '' },
    web: { assertionPublicKey: '', identity: () => Promise.resolve(undefined) },
    userAuthorities: [],
    hostCertificates: () => Promise.resolve([]),
    publishDirectory: () => undefined,
    publishOrders: () => undefined,
    presences,
    clock,
    log,
    newId: ids,
    changed: () => undefined,
    ...others,
  });
  return {
    ...control,
    async turn() {
      for (const { pass } of control.loops) {
        await pass(stopping.signal);
        await images.idle();
        await control.idle();
        if (life.isOver) return;
      }
      clock.advance(1_000);
    },
    close: () => store.close(),
  };
}
