/**
 * `npm run bench [NAME …] [-- --json FILE] [--record]`: the benchmarks whose names begin with one of the NAMEs; all
 * without. `--record` keeps what was measured in `docs/`.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { autoscaleHours } from './autoscale.ts';
import { resultOf, type Benchmark, type Result } from './benchmark.ts';
import { record } from './document.ts';
import { filesGit, filesPip, filesSequential, filesSmall, filesSnapshot } from './files.ts';
import { describeMachine } from './machine.ts';
import { httpRateChp, httpRateHaproxy, wsRateChp } from './http.ts';
import { placement } from './placement.ts';
import { planGrowth, planMemory, planTime } from './plan.ts';
import { deployInRotation, scaleInRotation } from './pool.ts';
import { sshConnect, sshIdle, sshThroughput, sshThroughputAes, sshThroughputJump } from './ssh.ts';
import { tcpConnect, tcpThroughput } from './tcp.ts';
import { templateExpand } from './template-expand.ts';
import { wakeFrozen, wakeNothing, wakeStopped } from './wake.ts';

const benchmarks: readonly Benchmark[] = [
  deployInRotation,
  scaleInRotation,
  tcpThroughput,
  tcpConnect,
  sshThroughput,
  sshThroughputAes,
  sshThroughputJump,
  sshConnect,
  sshIdle,
  httpRateChp,
  httpRateHaproxy,
  wsRateChp,
  placement,
  planTime,
  planMemory,
  planGrowth,
  autoscaleHours,
  templateExpand,
  filesSequential,
  filesSmall,
  filesGit,
  filesPip,
  filesSnapshot,
  wakeFrozen,
  wakeStopped,
  wakeNothing,
];

const { values, positionals } = parseArgs({
  options: { json: { type: 'string' }, record: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const chosen = benchmarks.filter(
  ({ name }) => positionals.length === 0 || positionals.some((prefix) => name.startsWith(prefix)),
);
if (chosen.length === 0) {
  console.error(`There is no such benchmark. There are: ${benchmarks.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
const machine = await describeMachine();
console.error(machine);
const results: Result[] = [];
for (const benchmark of chosen) {
  const missing = await benchmark.missing();
  if (missing !== undefined) {
    console.error(`${benchmark.name}: left out: ${missing}`);
    continue;
  }
  const measured = await benchmark.measure((text) => {
    console.error(`${benchmark.name}: ${text}`);
  });
  const result = resultOf(benchmark, measured, { machine, measuredAt: new Date().toISOString() });
  results.push(result);
  const peers = Object.entries(result.peers).map(([name, value]) => `${name} ${value}`);
  console.log(
    `${result.name.padEnd(32)} ${String(result.value).padStart(8)} ${result.unit.padEnd(4)} goal ${result.goal.padEnd(8)} ${result.met ? 'met' : 'MISSED'}${peers.length === 0 ? '' : `   (${peers.join(', ')})`}`,
  );
}
if (values.json !== undefined) await writeFile(values.json, `${JSON.stringify(results, null, 2)}\n`);
if (values.record) await record(results);
