"""
A folder as it was in a snapshot, while people may go on in it. What is the same stays; what has a room of its own, and what people do
meanwhile, is theirs. It can be done again wherever it was cut off.
"""

import contextlib
import errno
import os
import stat

from share_files.attributes import copy_attributes, kept_xattrs, same_attributes
from share_files.content import put_copy, same_content
from share_files.kernel import sync_file_system
from share_files.places import FOLDER, SNAPSHOTS, in_snapshot, is_reserved, is_room, is_room_link, look, open_file, open_folder
from share_files.refusals import Refusal

# What happens where people work on meanwhile: it vanished, was moved, or something else is in its place.
MEANWHILE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EEXIST, errno.ENOTEMPTY, errno.EISDIR, errno.ENXIO)


@contextlib.contextmanager
def people_go_on():
    """What people do in a folder while it is restored stays as they have it, and ends nothing."""
    try:
        yield
    except OSError as error:
        if error.errno not in MEANWHILE:
            raise
    except Refusal as refusal:
        if refusal.code not in ("NotFound", "Conflict"):
            raise


def restore(request):
    place = request.place()
    if place.snapshot is None:
        raise Refusal("InvalidParameter", "The snapshot is missing.")
    for count, name in enumerate(place.asked):
        if is_reserved(place.asked[:count], name):
            raise Refusal("OperationNotAllowed", "'.snapshots' belongs to the snapshots, and cannot be changed.")
    work = Restoring(request, place)
    source, target = place.steps, place.asked
    make_above(place)
    if target:
        here = place.keep(open_folder(place.root, source[:-1]))
        found = os.stat(source[-1], dir_fd=here, follow_symlinks=False)
        there = place.keep(open_folder(place.root, target[:-1]))
        if not stat.S_ISDIR(found.st_mode):
            work.one(here, there, target[-1], source[:-1], target[:-1])
        else:
            present = look(there, target[-1])
            if present is not None and not stat.S_ISDIR(present.st_mode):
                work.remove(there, target[-1], target)
                present = None
            if present is None:
                os.mkdir(target[-1], 0o700, dir_fd=there)
            work.waiting.append((source, target))
    else:
        work.waiting.append((source, target))
    begun = [steps for pair in work.waiting for steps in pair]
    while work.waiting:
        work.folder(*work.waiting.pop())
    # Where the snapshot went, or people moved away all of it, it was not restored.
    for steps in begun:
        os.close(open_folder(place.root, steps))
    sync_file_system(place.root)
    return {"files": work.files, "removed": work.removed}


def make_above(place):
    """The folders that it was in, where they are missing by now."""
    for count in range(1, len(place.asked)):
        above = place.asked[:count]
        with contextlib.ExitStack() as stack:
            descriptor = open_folder(place.root, above[:-1])
            stack.callback(os.close, descriptor)
            if look(descriptor, above[-1]) is not None:
                continue
            source = open_folder(place.root, in_snapshot(place.root, place.snapshot, above))
            stack.callback(os.close, source)
            os.mkdir(above[-1], 0o700, dir_fd=descriptor)
            made = os.open(above[-1], FOLDER, dir_fd=descriptor)
            stack.callback(os.close, made)
            copy_attributes(source, made)


class Restoring:
    def __init__(self, request, place):
        self.request, self.root, self.snapshot = request, place.root, place.snapshot
        self.files = self.removed = 0
        self.waiting = []

    def folder(self, source, target):
        """`source` and `target`: steps from the share's root; the target is there already."""
        with contextlib.ExitStack() as stack:
            here = open_folder(self.root, source)
            stack.callback(os.close, here)
            names = {os.fsencode(name) for name in os.listdir(here)}
            stack.enter_context(people_go_on())
            there = open_folder(self.root, target)
            stack.callback(os.close, there)
            for name in sorted(map(os.fsencode, os.listdir(there))):
                if name not in names and not is_reserved(target, name):
                    with people_go_on():
                        self.remove(there, name, [*target, name])
            for name in sorted(names):
                self.request.still_wanted()
                if not is_reserved(target, name):
                    with people_go_on():
                        self.one(here, there, name, source, target)
            before, after = os.fstat(here), os.fstat(there)
            if not same_attributes(before, after) or kept_xattrs(here) != kept_xattrs(there):
                copy_attributes(here, there)

    def one(self, here, there, name, source, target):
        found, present = look(here, name), look(there, name)
        if found is None:
            return
        if stat.S_ISDIR(found.st_mode):
            if present is not None and not stat.S_ISDIR(present.st_mode):
                self.remove(there, name, [*target, name])
                present = None
            if present is None:
                os.mkdir(name, 0o700, dir_fd=there)
            self.waiting.append(([*source, name], [*target, name]))
        elif stat.S_ISREG(found.st_mode):
            self.file(here, there, name, target, found, present)
        elif stat.S_ISLNK(found.st_mode):
            self.link(here, there, name, target, found, present)
        elif present is not None and stat.S_IFMT(present.st_mode) != stat.S_IFMT(found.st_mode):
            # A socket or the like: what took its name since goes, and who listened there makes it anew.
            if self.remove(there, name, [*target, name]):
                self.one(here, there, name, source, target)
        elif stat.S_ISFIFO(found.st_mode) and present is None:
            os.mkfifo(name, stat.S_IMODE(found.st_mode), dir_fd=there)
            os.chown(name, found.st_uid, found.st_gid, dir_fd=there, follow_symlinks=False)
            self.files += 1

    def file(self, here, there, name, target, found, present):
        if present is not None and stat.S_ISREG(present.st_mode) and self.is_same(here, there, name, found, present):
            return
        if present is not None and not stat.S_ISREG(present.st_mode) and not self.remove(there, name, [*target, name]):
            return
        put_copy(here, name, there, name)
        self.files += 1

    def is_same(self, here, there, name, found, present):
        if not same_attributes(found, present):
            return False
        # Nobody can set that time: it tells that nothing was done with the file since.
        if found.st_ctime_ns == present.st_ctime_ns and found.st_ino == present.st_ino:
            return True
        with contextlib.ExitStack() as stack:
            one = open_file(here, name, os.O_RDONLY)
            stack.callback(os.close, one)
            other = open_file(there, name, os.O_RDONLY)
            stack.callback(os.close, other)
            return kept_xattrs(one) == kept_xattrs(other) and same_content(one, other)

    def link(self, here, there, name, target, found, present):
        steps = [*target, name]
        if is_room_link(here, name, steps, self.snapshot):
            room = [*steps, SNAPSHOTS, self.snapshot]
            try:
                os.close(open_folder(self.root, room))
            except OSError:
                return  # the room was made anew since: it has no such snapshot, and stays as it is
            self.waiting.append((room, steps))
            return
        text = os.readlink(name, dir_fd=here)
        if present is not None:
            same_owner = (present.st_uid, present.st_gid) == (found.st_uid, found.st_gid)
            if stat.S_ISLNK(present.st_mode) and same_owner and os.readlink(name, dir_fd=there) == text:
                return
            if not self.remove(there, name, steps):
                return
        os.symlink(text, name, dir_fd=there)
        os.chown(name, found.st_uid, found.st_gid, dir_fd=there, follow_symlinks=False)
        self.files += 1

    def remove(self, above, name, steps):
        """With all in it, but not what has a room of its own. True when nothing of it is left."""
        found = look(above, name)
        if found is None:
            return True
        if not stat.S_ISDIR(found.st_mode):
            os.unlink(name, dir_fd=above)
            self.removed += 1
            return True
        folders, waiting, kept = [], [steps], False
        while waiting:
            self.request.still_wanted()
            path = waiting.pop()
            with people_go_on(), contextlib.ExitStack() as stack:
                descriptor = open_folder(self.root, path)
                stack.callback(os.close, descriptor)
                if is_room(descriptor, path):
                    kept = True
                    continue
                folders.append(path)
                for below in map(os.fsencode, os.listdir(descriptor)):
                    inner = look(descriptor, below)
                    if inner is not None and stat.S_ISDIR(inner.st_mode):
                        waiting.append([*path, below])
                    elif inner is not None:
                        with people_go_on():
                            os.unlink(below, dir_fd=descriptor)
                            self.removed += 1
        # A folder that is not empty keeps what has a room of its own, or what was put into it since.
        for path in reversed(folders):
            with people_go_on(), contextlib.ExitStack() as stack:
                descriptor = open_folder(self.root, path[:-1])
                stack.callback(os.close, descriptor)
                os.rmdir(path[-1], dir_fd=descriptor)
                self.removed += 1
        return not kept and look(above, name) is None
