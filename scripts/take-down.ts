/**
 * Takes down what tests that were ended in the middle have left: the installations whose homes lie below a folder, and
 * what was planted beside them. `scripts/take-down.ts FOLDER`
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createIncusEngine } from '../src/engines/incus/incus-engine.ts';
import { homeAt } from '../src/core/home.ts';
import { destroy } from '../src/host/down.ts';
import { createProgress } from '../src/host/progress.ts';
import { removeAbandoned } from '../test/chaos/bystanders.ts';
import { engineSocket, viewEngine } from '../test/chaos/engine-view.ts';

const [folder = ''] = process.argv.slice(2);
const below = (path: string) =>
  readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [join(path, entry.name)] : []));
const signal = AbortSignal.timeout(300_000);

for (const path of below(folder).flatMap((one) => [one, ...below(one)])) {
  if (existsSync(join(path, 'installation.json')))
    await told(path, () => destroy(homeAt(path), createProgress(process.stderr), signal));
  // Of an engine alone, without a home: the suite that every engine passes.
  const alone = join(path, 'engine-installation');
  if (existsSync(alone) && engineSocket() !== undefined) {
    const installation = readFileSync(alone, 'utf8');
    const engine = createIncusEngine({
      installation,
      socketPath: engineSocket() ?? '',
      addressRange: '10.232.0.0/16',
      poolBytes: 5 * 2 ** 30,
    });
    await told(path, () => engine.destroy(signal));
  }
}
if (engineSocket() !== undefined) await told('bystanders', () => removeAbandoned(viewEngine('00000000')));

async function told(what: string, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    console.error(`${what} could not be taken down:`, error);
  }
}
