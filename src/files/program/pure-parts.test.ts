/** What the worker decides before it opens anything: parts of its package that are pure, each with a table of cases. */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { programFiles } from '../../core/program-files.ts';
import { workerMissing } from '../test-worker.ts';

const packageFolder = join(programFiles.root, 'images/recipes/fileserver/files');

/** Calls a function with each of the arguments (Python's own text), and tells what it answers, or the code of its refusal. */
function answers(module: string, call: string, cases: readonly string[]): string[] {
  const script = `
import base64, importlib, json, sys
sys.path.append(sys.argv[1])
sys.dont_write_bytecode = True
from share_files.refusals import Refusal
from share_files import ${module}
for text in json.loads(sys.argv[2]):
    try:
        print(repr(${module}.${call}(*eval(f"({text},)"))))
    except Refusal as refusal:
        print(refusal.code)
`;
  const { stdout, stderr } = spawnSync('/usr/bin/python3', ['-I', '-c', script, packageFolder, JSON.stringify(cases)], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  return stdout.trimEnd().split('\n');
}

const tables: [what: string, module: string, call: string, cases: Record<string, string>][] = [
  [
    'steps of a path',
    'arguments',
    'steps_of',
    {
      '[]': '[]',
      '["a", "b c"]': `[b'a', b'b c']`,
      '["...", ".a"]': `[b'...', b'.a']`,
      '["\\udcff"]': `[b'\\xff']`,
      '["a" * 255]': `[b'${'a'.repeat(255)}']`,
      '["a" * 256]': 'InvalidParameter',
      '["ä" * 128]': 'InvalidParameter',
      '[""]': 'InvalidParameter',
      '["."]': 'InvalidParameter',
      '["a", ".."]': 'InvalidParameter',
      '["a/b"]': 'InvalidParameter',
      '["a\\0"]': 'InvalidParameter',
      '[5]': 'InvalidParameter',
      '"a"': 'InvalidParameter',
      None: 'InvalidParameter',
    },
  ],
  [
    'numbers',
    'arguments',
    'natural',
    {
      0: '0',
      '(1 << 63) - 1': '9223372036854775807',
      '1 << 63': 'InvalidParameter',
      '-1': 'InvalidParameter',
      True: 'InvalidParameter',
      '1.0': 'InvalidParameter',
      '"1"': 'InvalidParameter',
      None: 'InvalidParameter',
    },
  ],
  [
    'arguments of a request',
    'arguments',
    'arguments_of',
    {
      'base64.b64encode(b\'{"a": 1}\').decode()': `{'a': 1}`,
      'base64.b64encode(b"[]").decode()': 'InvalidParameter',
      'base64.b64encode(b"{").decode()': 'InvalidParameter',
      'base64.b64encode(b"\\xff").decode()': 'InvalidParameter',
      '"a"': 'InvalidParameter',
      '""': 'InvalidParameter',
      '"x" * 60001': 'InvalidParameter',
    },
  ],
  [
    'lengths of a body',
    'bodies',
    'length_of',
    { '"5"': '5', '"-5"': 'InvalidParameter', '"five"': 'InvalidParameter', '"9" * 30': 'InvalidParameter' },
  ],
  [
    'names that belong to the snapshots',
    'places',
    'is_reserved',
    {
      '[], b".snapshots"': 'True',
      '[b"notebooks", b"ada"], b".snapshots"': 'True',
      '[b"groups", b"team"], b".snapshots"': 'True',
      '[b"notebooks"], b".snapshots"': 'False',
      '[b"notebooks", b"ada", b"x"], b".snapshots"': 'False',
      '[b"other", b"ada"], b".snapshots"': 'False',
      '[], b".snapshots2"': 'False',
    },
  ],
  [
    'times in a tar',
    'unpacking',
    'nanoseconds',
    {
      '"1600000000", 0': '1600000000000000000',
      '"1600000000.5", 0': '1600000000500000000',
      '"1.0000000019", 0': '1000000001',
      '"-1", 0': '-1000000000',
      '"1e99", 7': '7000000000',
      'None, 1e300': '8589934592000000000',
      'None, -5': '0',
    },
  ],
];

describe.skipIf(workerMissing !== undefined)(`pure parts of the worker (${workerMissing ?? 'by python3'})`, () => {
  it.each(tables)('judge %s', (_what, module, call, cases) => {
    const found = answers(module, call, Object.keys(cases));
    expect(Object.fromEntries(Object.keys(cases).map((text, count) => [text, found[count]]))).toEqual(cases);
  });
});
