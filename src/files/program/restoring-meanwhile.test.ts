/** The real worker's restoring, on a folder in which people go on: at each of its steps, something is moved, removed and made. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it, onTestFinished } from 'vitest';
import { programFiles } from '../../core/program-files.ts';
import { workerMissing } from '../test-worker.ts';

const packageFolder = join(programFiles.root, 'images/recipes/fileserver/files');

/** Prints what could not be put up with, and how many steps there were at most. */
const script = `
import os, shutil, sys
sys.path.append(sys.argv[1])
sys.dont_write_bytecode = True
from share_files.restoring import Restoring

def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as file:
        file.write(text)

def prepare(root):
    shutil.rmtree(root, ignore_errors=True)
    for name in ("a/x", "b/y", "b/c/z", "d"):
        write(f"{root}/.snapshots/s/{name}", "then " + name)
    for name in ("a/x", "b/y", "new/1", "new/deep/2", "new/deep/er/3", "later"):
        write(f"{root}/{name}", "now")

MISCHIEF = {
    "moves what is new": lambda root: os.rename(f"{root}/new", f"{root}/new moved"),
    "moves what is deep": lambda root: os.rename(f"{root}/new/deep", f"{root}/elsewhere"),
    "removes a folder": lambda root: shutil.rmtree(f"{root}/new/deep/er"),
    "removes a file": lambda root: os.unlink(f"{root}/later"),
    "goes on writing": lambda root: write(f"{root}/new/deep/er/{os.urandom(4).hex()}", "now"),
    "makes a folder in the place of a file": lambda root: os.mkdir(f"{root}/d"),
    "makes a link in the place of a folder": lambda root: (shutil.rmtree(f"{root}/b"), os.symlink("/etc", f"{root}/b")),
    "moves what is restored": lambda root: os.rename(f"{root}/b", f"{root}/b moved"),
}

class Request:
    def __init__(self, root, at, work):
        self.root, self.at, self.work, self.count = root, at, work, 0
        self.arguments = {}
    def still_wanted(self):
        self.count += 1
        if self.count >= self.at:
            try:
                self.work(self.root)
            except OSError:
                pass

most = 0
for what, work in MISCHIEF.items():
    for at in range(1, 25):
        root = sys.argv[2] + "/share"
        prepare(root)
        class Place:
            pass
        place = Place()
        place.root, place.snapshot = os.open(root, os.O_RDONLY), b"s"
        request = Request(root, at, work)
        restoring = Restoring(request, place)
        restoring.waiting.append(([b".snapshots", b"s"], []))
        try:
            while restoring.waiting:
                restoring.folder(*restoring.waiting.pop())
        except Exception as error:
            print(what, "at step", at, type(error).__name__, error)
        os.close(place.root)
        with open(root + "/a/x") as file:
            if file.read() != "then a/x":
                print(what, "at step", at, "a/x was not restored")
        most = max(most, request.count)
print(most > 5)
`;

it.skipIf(workerMissing !== undefined)('ends nothing where people go on in what is restored', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ph-meanwhile-'));
  onTestFinished(() => rm(folder, { recursive: true }));
  const { stdout, stderr } = spawnSync('/usr/bin/python3', ['-I', '-c', script, packageFolder, folder], {
    encoding: 'utf8',
  });
  expect(stderr).toBe('');
  expect(stdout).toBe('True\n');
});
