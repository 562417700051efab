/** What an installation has on the host outside the engine, against what its store says that it should have. */
import { existsSync, readdirSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import { fileServerName } from '../../src/control/service-instances.ts';
import { run } from '../e2e/installation.ts';
import { hostProcesses, type EngineView } from './engine-view.ts';

export interface InstallationPlaces {
  id: string;
  home: string;
  runFolder: string;
  store: string;
}

/** Every breach in words; none where all is well. */
export async function findHostBreaches(places: InstallationPlaces, engine: EngineView): Promise<string[]> {
  const { known, addresses } = readStore(places.store);
  const breaches: string[] = [];

  // The link is there once an instance has been.
  const doors = `${places.runFolder}/doors`;
  for (const name of existsSync(doors) ? readdirSync(doors) : [])
    // The file server's is there before it is made: who has work for it asks by this door.
    if (!known.has(name) && name !== fileServerName) breaches.push(`a door is left: ${name}`);

  for (const name of engine.foldersOnHost())
    if (!known.has(name)) breaches.push(`the storage holds ${name}, which nobody knows`);

  const table = (await run('nft', ['list', 'table', 'inet', `poolhouse_${places.id}`])).stdout;
  for (const [address] of table.matchAll(/127\.77\.\d+\.\d+/g))
    if (!addresses.has(address)) breaches.push(`the kernel leads ${address} somewhere, which is nobody's`);
  for (const address of addresses)
    if (!table.includes(address)) breaches.push(`the kernel does not lead ${address} anywhere`);

  // A pass of a loop asks nft and the like: what is there once may be just going.
  const first = new Set(strays(places).map((one) => one.pid));
  await new Promise((resolve) => setTimeout(resolve, 300));
  for (const one of strays(places)) if (first.has(one.pid)) breaches.push(`a process is left: ${one.commandLine}`);
  const bySystemd = existsSync('/run/systemd/system'); // which needs no supervisor of ours
  for (const what of ['control/main', 'gateway/main', ...(bySystemd ? [] : ['host/supervisor-main'])]) {
    const count = ours(places).filter((one) => one.commandLine.includes(what)).length;
    if (count !== 1) breaches.push(`${what} runs ${count} times`);
  }
  return breaches;
}

/** Control, gateway, supervisor, and what they have started. */
function ours(places: InstallationPlaces) {
  const all = hostProcesses();
  const roots = all.filter((one) => isProgram(one.commandLine) && isOf(places, one.commandLine));
  return roots;
}

function strays(places: InstallationPlaces) {
  const own = new Set(ours(places).map((one) => one.pid));
  return hostProcesses().filter((one) => {
    if (/fetch-main|mmdebstrap|build-\d+-/.test(one.commandLine)) return own.has(one.parent) || one.parent === 1;
    // The engine keeps one process for each instance's socket.
    return /forkproxy/.test(one.commandLine) && one.commandLine.includes(places.id) && !own.has(one.pid)
      ? !readStoreNames(places.store).some((name) => one.commandLine.includes(name))
      : false;
  });
}

const isProgram = (commandLine: string) => /(control|gateway)\/main|host\/supervisor-main/.test(commandLine);
const isOf = (places: InstallationPlaces, commandLine: string) =>
  commandLine.includes(`${places.home} `) || commandLine.includes(`${places.runFolder}/`);

const readStoreNames = (store: string) => [...readStore(store).known];

function readStore(file: string): { known: Set<string>; addresses: Set<string> } {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 5_000 });
  try {
    const column = (sql: string) =>
      new Set(
        database
          .prepare(sql)
          .all()
          .flatMap((row) => Object.values(row).map(String)),
      );
    const routed = database
      .prepare(`SELECT key, document_json FROM resources WHERE type_key = 'microsoft.network/loadbalancers'`)
      .all()
      .map((row) => String(row['document_json']).toLowerCase());
    const addresses = new Set(
      database
        .prepare('SELECT address, owner_key FROM public_addresses')
        .all()
        .filter((row) => routed.some((text) => text.includes(String(row['owner_key']))))
        .map((row) => String(row['address'])),
    );
    return { known: column('SELECT name FROM instances'), addresses };
  } finally {
    database.close();
  }
}
