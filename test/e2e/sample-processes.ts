/**
 * Looks at every process of this host every 10 ms, until its input ends, and then prints every command line and every
 * environment that it saw, each once, as one JSON document. A program of its own: the test has other things to do.
 */
import { readdirSync, readFileSync } from 'node:fs';

const interval = 10;
const texts = new Set<string>();
const before = new Map<string, string>();
let rounds = 0;

function read(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return ''; // it has ended meanwhile
  }
}

const timer = setInterval(() => {
  rounds += 1;
  for (const pid of readdirSync('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    const command = read(`/proc/${pid}/cmdline`);
    if (before.get(pid) === command) continue;
    before.set(pid, command);
    texts.add(command);
    texts.add(read(`/proc/${pid}/environ`));
  }
}, interval);

process.stdin.resume().once('end', () => {
  clearInterval(timer);
  process.stdout.write(JSON.stringify({ rounds, texts: [...texts] }));
});
process.stdout.write('ready\n');
