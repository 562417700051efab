/** What a figure was measured on: without it, it says nothing. */
import { readFile } from 'node:fs/promises';
import { cpus, release, totalmem } from 'node:os';
import { run } from '../e2e/installation.ts';

/** One line, such as `2 x Xeon …, 24 GiB, Linux 6.1.0, Debian 12, LXD 5.0.2, Node 24.21.0`. */
export async function describeMachine(): Promise<string> {
  const system = await readFile('/etc/os-release', 'utf8').catch(() => '');
  const distribution = /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(system)?.[1] ?? process.platform;
  const model = (cpus()[0]?.model ?? 'unknown processor').replace(/\s+/g, ' ').trim();
  return [
    `${cpus().length} x ${model}`,
    `${Math.round(totalmem() / 2 ** 30)} GiB`,
    `Linux ${release()}`,
    distribution,
    await engineVersion(),
    `Node ${process.versions.node}`,
  ].join(', ');
}

async function engineVersion(): Promise<string> {
  for (const [name, program] of [
    ['Incus', 'incusd'],
    ['LXD', 'lxd'],
  ] as const) {
    const { exitCode, stdout } = await run(program, ['--version']);
    if (exitCode === 0) return `${name} ${stdout.trim()}`;
  }
  return 'no engine';
}
