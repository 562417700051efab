/** The instances' storage becomes full under a pool: somebody has filled it from inside. */
import { z } from 'zod';
import type { EngineView } from './engine-view.ts';

/** Takes all the room there is, to the last block. */
const fill =
  'for size in 1G 256M 64M 16M 4M 1M 256K 64K 16K 4K; do n=0; while fallocate -l $size /fill.$size.$n 2>/dev/null; do n=$((n+1)); done; rm -f /fill.$size.$n; done; i=0; while echo full > /fill.small.$i; do i=$((i+1)); [ $i -lt 3000 ] || break; done; sync';

export const fillStorage = (engine: EngineView, instance: string) => runInside(engine, instance, fill);
export const makeRoom = (engine: EngineView, instance: string) => runInside(engine, instance, 'rm -f /fill.*; sync');

async function runInside(engine: EngineView, instance: string, command: string): Promise<number> {
  const path = `/1.0/instances/${instance}/exec?project=${engine.project}`;
  const ended = await engine.change('POST', path, {
    command: ['/bin/sh', '-c', command],
    'wait-for-websocket': false,
    interactive: false,
    environment: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
  });
  return z.object({ return: z.number() }).parse(ended).return;
}
