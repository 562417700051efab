/** Work on files where there are none: simulated shares hold nothing. */
import { PoolhouseError } from '../core/errors.ts';
import type { ShareFiles } from './share-files.ts';

/** Every method fails with this. */
export function noShareFiles(message = 'Simulated shares hold no files.'): ShareFiles {
  const refuse = () => Promise.reject(new PoolhouseError('OperationNotAllowed', message));
  return {
    find: refuse,
    list: refuse,
    makeFolder: refuse,
    removeFolder: refuse,
    createFile: refuse,
    removeFile: refuse,
    change: refuse,
    rename: refuse,
    copy: refuse,
    read: refuse,
    write: refuse,
    clear: refuse,
    restore: refuse,
    pack: refuse,
    unpack: refuse,
  };
}
