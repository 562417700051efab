/** Writes a file into an instance, running or stopped, by the daemon. */
import type { InstanceFile } from '../engine.ts';
import type { DaemonInstances } from './daemon-instances.ts';
import { DaemonError, unless, type RestClient } from './rest-client.ts';

export async function writeInstanceFile(
  client: RestClient,
  instances: DaemonInstances,
  project: string,
  name: string,
  file: InstanceFile,
  signal: AbortSignal,
): Promise<void> {
  const headers = (type: 'directory' | 'file', mode: string, uid = 0, gid = 0) => ({
    'content-type': 'application/octet-stream',
    'x-lxd-uid': String(uid),
    'x-lxd-gid': String(gid),
    'x-lxd-mode': mode,
    'x-lxd-type': type,
    'x-lxd-write': 'overwrite',
    'x-incus-uid': String(uid),
    'x-incus-gid': String(gid),
    'x-incus-mode': mode,
    'x-incus-type': type,
    'x-incus-write': 'overwrite',
  });
  const put = async (path: string, content: Uint8Array, head: Record<string, string>) => {
    await instances.changing(name, signal, () =>
      client.upload(
        `/1.0/instances/${name}/files?project=${project}&path=${encodeURIComponent(path)}`,
        content,
        head,
        signal,
      ),
    );
  };
  const write = () =>
    put(
      file.path,
      typeof file.content === 'string' ? Buffer.from(file.content) : file.content,
      headers('file', `0${file.mode.toString(8)}`, file.uid, file.gid),
    );
  try {
    await write();
  } catch (error) {
    if (!(error instanceof DaemonError)) throw error;
    // Its folders may be missing: they are made one below the other, and the file is written again.
    const parts = file.path.split('/').slice(1, -1);
    for (let depth = 1; depth <= parts.length; depth += 1) {
      await unless(
        () => true,
        () => put(`/${parts.slice(0, depth).join('/')}`, new Uint8Array(), headers('directory', '0755')),
      );
    }
    await write();
  }
}
