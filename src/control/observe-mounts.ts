/** Tells how each request for a mount was answered. */
import type { Mounts } from './mounts.ts';
import type { Observer } from './observer.ts';

export function observeMounts(mounts: Mounts, observer: Observer): Mounts {
  return {
    ...mounts,
    async mount(instanceName, asked, signal) {
      const answer = await mounts.mount(instanceName, asked, signal);
      // A share of somebody else's server: the helper hands it to whoever mounts such shares.
      if ('status' in answer) observer.mountEnded('mounted');
      else observer.mountEnded(answer.error.code === 'NotOurs' ? 'not_ours' : 'refused');
      return answer;
    },
  };
}
