/** `down --destroy` on a machine on which no engine ran before `up`: what is left, and who is spared. */
import { existsSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import { seenOnFreshMachine, type Seen } from './fresh-machine.ts';
import { missingForSystemTests } from './installation.ts';
import type { Allowed } from './machine-picture.ts';

const missing =
  (await missingForSystemTests(['nft', 'ip', 'unshare', 'losetup', 'sysctl', 'lxcfs'])) ??
  (existsSync('/bin/busybox') ? undefined : `'busybox-static' is not installed`);

/** What may differ afterwards, and why. */
const allowed: readonly Allowed[] = [
  {
    line: /^files: \S \/(var\/(lib|log)|run)\/(lxd|incus|lxc|lxcfs)[ /]/,
    because: `the engine's package keeps its own empty database, folders and certificate, as after any first start`,
  },
  {
    line: /^sysctls: net\.ipv4\.(ip_forward|conf\.\w+\.(forwarding|accept_redirects)) /,
    because: 'the engine lets the kernel forward for its networks; nobody can tell who else has come to need that',
  },
  { line: /^sysctls: net\.ipv4\.tcp_fastopen_key /, because: 'the kernel chooses it when somebody first listens' },
  {
    line: /^files of \/etc: f \/etc\/(passwd|group|shadow|gshadow)- /,
    because: 'the system keeps the text from before the last change of accounts',
  },
];

describe.skipIf(missing !== undefined)(
  `a machine without an engine${missing === undefined ? '' : ` (left out: ${missing})`}`,
  () => {
    let seen: Seen[];
    beforeAll(async () => {
      seen = await seenOnFreshMachine();
    });
    const after = (what: string) => {
      const found = seen.find((one) => one.what === what);
      if (found === undefined) throw new Error(`nothing was seen after '${what}'`);
      const differences = found.differences.filter((line) => !allowed.some((one) => one.line.test(line.slice(2))));
      return { ...found, differences };
    };

    it.each(['a whole life', 'the daemon was killed before'])('is as it was after `down --destroy`: %s', (what) => {
      const { result, differences, processes } = after(what);
      expect(result).toMatchObject({ exitCode: 0 });
      expect(result.stdout).toContain(`the processes`);
      expect(result.stdout).toContain(`the account 'poolhouse'`);
      expect([differences, processes]).toEqual([[], []]);
    });

    it('is as it was where `up` had only begun, and there is nothing to do a second time', () => {
      expect(after('an `up` that had only begun')).toMatchObject({ result: { exitCode: 0 }, differences: [] });
      expect(after('once more')).toMatchObject({ differences: [] });
      expect(after('once more').result.stdout).toBe('There was nothing to remove.\n');
    });

    it('keeps an account of the same name that somebody else has made', () => {
      const { result, differences } = after(`somebody's account of that name`);
      expect(result).toMatchObject({ exitCode: 0 });
      expect(differences).toContainEqual(
        expect.stringMatching(/^\+ accounts: passwd poolhouse:.*The pool house in the garden/),
      );
    });
  },
);
