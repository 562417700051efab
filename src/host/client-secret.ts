/** The secret of the installation's service principal, which control keeps sealed: asked for over its own local socket. */
import { z } from 'zod';
import { runtimeFolderOf, type Home } from '../core/home.ts';
import type { Installation } from '../core/installation.ts';
import { tellControl } from './local-api.ts';

const answer = z.object({ clientSecret: z.string().min(1) });

/** `HostNotReady` where control does not run, or the caller is not the installation's owner. */
export async function readClientSecret(home: Home, installation: Installation): Promise<string> {
  const { adminSocket } = runtimeFolderOf(home, installation.id, process.getuid?.() === 0);
  return answer.parse(JSON.parse(await tellControl(adminSocket, '/v1/client-secret', {}))).clientSecret;
}
