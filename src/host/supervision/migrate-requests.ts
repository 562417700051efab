/**
 * While a gateway closes its listeners, the kernel gives what it has not accepted yet to those of the others, where
 * `tcp_migrate_req` says so; else it resets it. The setting is of the whole machine (or container), and only programs that
 * share ports feel it: so it is set for this moment, and put back.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const setting = '/proc/sys/net/ipv4/tcp_migrate_req';
/** Clients whose connection is half made answer within this. */
const handshakeMs = 1_000;

/** Does the work with the setting on, where we may set it. */
export async function withMigratedRequests(work: () => Promise<void>): Promise<void> {
  const before = await readFile(setting, 'utf8').catch(() => undefined);
  const isOurs =
    before?.trim() === '0' &&
    (await writeFile(setting, '1').then(
      () => true,
      () => false,
    ));
  try {
    await work();
    if (isOurs) await sleep(handshakeMs);
  } finally {
    if (isOurs) await writeFile(setting, '0');
  }
}
