/** Work on what shares hold, by somebody who is only there once he is needed. */
import type { ShareFiles } from './share-files.ts';

/** The same, and `need` is called whenever somebody has work. */
export function onNeed(files: ShareFiles, need: () => void): ShareFiles {
  const told =
    <A extends unknown[], T>(call: (...args: A) => T) =>
    (...args: A): T => {
      need();
      return call(...args);
    };
  return {
    find: told((...args: Parameters<ShareFiles['find']>) => files.find(...args)),
    list: told((...args: Parameters<ShareFiles['list']>) => files.list(...args)),
    makeFolder: told((...args: Parameters<ShareFiles['makeFolder']>) => files.makeFolder(...args)),
    removeFolder: told((...args: Parameters<ShareFiles['removeFolder']>) => files.removeFolder(...args)),
    createFile: told((...args: Parameters<ShareFiles['createFile']>) => files.createFile(...args)),
    removeFile: told((...args: Parameters<ShareFiles['removeFile']>) => files.removeFile(...args)),
    change: told((...args: Parameters<ShareFiles['change']>) => files.change(...args)),
    rename: told((...args: Parameters<ShareFiles['rename']>) => files.rename(...args)),
    copy: told((...args: Parameters<ShareFiles['copy']>) => files.copy(...args)),
    read: told((...args: Parameters<ShareFiles['read']>) => files.read(...args)),
    write: told((...args: Parameters<ShareFiles['write']>) => files.write(...args)),
    clear: told((...args: Parameters<ShareFiles['clear']>) => files.clear(...args)),
    restore: told((...args: Parameters<ShareFiles['restore']>) => files.restore(...args)),
    pack: told((...args: Parameters<ShareFiles['pack']>) => files.pack(...args)),
    unpack: told((...args: Parameters<ShareFiles['unpack']>) => files.unpack(...args)),
  };
}
