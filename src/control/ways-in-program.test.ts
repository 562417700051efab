/** Who is sent away when shares go: the real program that makes the ways in, with Samba's tools made up. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { programFiles } from '../core/program-files.ts';

const program = join(programFiles.root, 'images/recipes/fileserver/files/ways-in');
const harness = `
import importlib.machinery, importlib.util, json, os, sys, tempfile, types
sys.dont_write_bytecode = True
loader = importlib.machinery.SourceFileLoader("ways", sys.argv[1])
ways = importlib.util.module_from_spec(importlib.util.spec_from_loader("ways", loader))
loader.exec_module(ways)
asked, closed = json.load(sys.stdin), []
def run(*argv):
    if argv[:2] == ("smbcontrol", argv[1]) and argv[2] == "close-share":
        closed.append([argv[1], argv[3]])
    return types.SimpleNamespace(returncode=asked["code"], stdout=asked["sessions"])
with tempfile.TemporaryDirectory() as folder:
    ways.USERS, ways.PASSWORDS, ways.ACCOUNTS = folder + "/users", folder + "/passwords", folder + "/accounts"
    os.mkdir(ways.ACCOUNTS)
    ways.run, ways.nt_hash = run, lambda password: "H"
    ways.smb(asked["before"])
    closed.clear()
    ways.smb(asked["after"])
print(json.dumps(closed))
`;

const login = (account: string, ...shares: string[]) =>
  [account, `${account}.key1`].map((name) => ({
    ...{ login: name, password: 'x' },
    shares: shares.map((share) => ({ account, share })),
  }));
const before = [...login('one', 'shared', 'own'), ...login('two', 'shared')];
const head = 'Samba version 4.19.5\nPID     Username     Group        Machine\n-------\n';
/** Of one, two and one.key1: numbers are given in the order of the names. */
const sessions = `${head}900     50000        65534        a (b)\n901     50002        65534        a\n902     50001        65534        a\n`;

describe.skipIf(!existsSync('/usr/bin/python3'))('a share that goes (needs python3)', () => {
  it.each<[string, object[], { code?: number; sessions?: string }, string[][]]>([
    ['is closed to all who had it', [...login('one', 'shared'), ...login('two', 'shared')], {}, [['smbd', 'own']]],
    ['is left to another account that has one of its name', [...login('one', 'own'), ...login('two', 'shared')], {}, [['900', 'shared'], ['902', 'shared']]], // prettier-ignore
    [
      'with its account',
      login('two', 'shared'),
      {},
      [
        ['smbd', 'own'],
        ['900', 'shared'],
        ['902', 'shared'],
      ],
    ],
    ['where nobody has come in', [...login('one', 'own'), ...login('two', 'shared')], { sessions: head }, []],
    ['is closed to all where it cannot be told who has come in', [...login('one', 'own'), ...login('two', 'shared')], { code: 1 }, [['smbd', 'shared']]], // prettier-ignore
    ['is closed to all where that is told otherwise', [...login('one', 'own'), ...login('two', 'shared')], { sessions: `${head}900 one x y\n` }, [['smbd', 'shared']]], // prettier-ignore
  ])('%s', (_what, after, said, closed) => {
    const input = JSON.stringify({ before, after, code: 0, sessions, ...said });
    const result = spawnSync('/usr/bin/python3', ['-I', '-c', harness, program], { input, encoding: 'utf8' });
    expect(result.stderr).toBe('');
    expect(JSON.parse(result.stdout)).toEqual(closed);
  });
});
