/** Another machine in the network: a namespace of its own, joined to this host by a pair of interfaces. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { must, run, type Result } from './installation.ts';

export interface FarMachine {
  /** This host's address in their common network, also known there as `hostName`. */
  hostAddress: string;
  hostName: string;
  run(program: string, argv: readonly string[], options?: Parameters<typeof run>[2]): Promise<Result>;
  remove(): Promise<void>;
}

/** @param tag of this test only: several may run on one machine */
export async function makeFarMachine(tag: string): Promise<FarMachine> {
  const name = `${tag}${process.pid}`;
  const [near, far] = [`${name}h`, `${name}f`];
  const hostAddress = `198.19.${process.pid % 250}.1`;
  const hostName = 'pool.example';
  await must('ip', ['netns', 'add', name]);
  await must('ip', ['link', 'add', near, 'type', 'veth', 'peer', 'name', far, 'netns', name]);
  await must('ip', ['addr', 'add', `${hostAddress}/30`, 'dev', near]);
  await must('ip', ['link', 'set', near, 'up']);
  await must('ip', ['-n', name, 'addr', 'add', `${hostAddress.replace(/1$/, '2')}/30`, 'dev', far]);
  await must('ip', ['-n', name, 'link', 'set', far, 'up']);
  await must('ip', ['-n', name, 'link', 'set', 'lo', 'up']);
  await mkdir(`/etc/netns/${name}`, { recursive: true });
  await writeFile(`/etc/netns/${name}/hosts`, `127.0.0.1 localhost\n${hostAddress} ${hostName}\n`);
  return {
    hostAddress,
    hostName,
    run: (program, argv, options) => run('ip', ['netns', 'exec', name, program, ...argv], options),
    async remove() {
      await run('ip', ['link', 'del', near]);
      await run('ip', ['netns', 'del', name]);
      await rm(`/etc/netns/${name}`, { recursive: true, force: true });
    },
  };
}
