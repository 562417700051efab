"""
Where something is. A place is a share and steps from its root; every step is opened from the folder above it, and none is followed through
a link: whoever plants one, or puts it there between two looks, leads nobody anywhere.
"""

import os
import re
import stat

from share_files.arguments import steps_of
from share_files.refusals import Refusal

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# A pipe in the place of a file must not make us wait.
FILE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
SNAPSHOTS = b".snapshots"
# Where folders with rooms of their own (subvolumes) are, one step below.
ROOMS = (b"notebooks", b"groups")
# The number of a subvolume's root.
ROOM_NUMBER = 256


def is_reserved(above, name):
    """Snapshots are seen there. `above`: the steps to the folder it is in."""
    return name == SNAPSHOTS and (not above or is_room_place(above))


def is_room_place(steps):
    return len(steps) == 2 and steps[0] in ROOMS


def is_room(descriptor, steps):
    if os.fstat(descriptor).st_ino == ROOM_NUMBER and steps:
        return True
    return is_room_place(steps) and look(descriptor, SNAPSHOTS) is not None


def look(descriptor, name):
    try:
        return os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return None


class Place:
    """A share, opened; and steps from its root, as they really are."""

    def __init__(self, stack, settings, asked):
        account, share, snapshot = asked.get("account"), asked.get("share"), asked.get("snapshot")
        if not re.fullmatch(r"[a-z0-9]{3,24}", str(account)) or not re.fullmatch(r"[a-z0-9-]{1,63}", str(share)):
            raise Refusal("InvalidParameter", "There is no share of such a name.")
        if snapshot is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.:+-]{0,199}", str(snapshot)):
            raise Refusal("InvalidParameter", "There is no snapshot of such a name.")
        self.stack = stack
        self.root = self._attached(settings, account, share)
        self.asked = steps_of(asked.get("path"))
        self.snapshot = None if snapshot is None else os.fsencode(snapshot)
        self.steps = self.asked if snapshot is None else in_snapshot(self.root, self.snapshot, self.asked)

    def _attached(self, settings, account, share):
        away = Refusal("Unavailable", "The share '%s/%s' is not attached to the file server yet." % (account, share), True)
        try:
            outer = os.open(os.path.join(settings.root, account), FOLDER)
            self.stack.callback(os.close, outer)
            root = os.open(share, FOLDER, dir_fd=outer)
        except (FileNotFoundError, NotADirectoryError):
            raise away from None
        self.stack.callback(os.close, root)
        if not settings.folders and os.fstat(root).st_dev == os.fstat(outer).st_dev:
            raise away
        return root

    def changing(self):
        if self.snapshot is not None:
            raise Refusal("OperationNotAllowed", "A snapshot cannot be changed.")
        for count, name in enumerate(self.asked):
            if is_reserved(self.asked[:count], name):
                raise Refusal("OperationNotAllowed", "'.snapshots' belongs to the snapshots, and cannot be changed.")
        return self

    def above(self):
        """The folder it is in, opened, and its name there."""
        if not self.steps:
            raise Refusal("OperationNotAllowed", "This cannot be done with the root of a share.")
        return self.keep(open_folder(self.root, self.steps[:-1])), self.steps[-1]

    def keep(self, descriptor):
        self.stack.callback(os.close, descriptor)
        return descriptor


def open_folder(root, steps):
    """Each step from the one above it: none of them may be a link."""
    descriptor = os.dup(root)
    for step in steps:
        try:
            below = os.open(step, FOLDER, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = below
    return descriptor


def in_snapshot(root, snapshot, asked):
    """
    Where that is in a snapshot. In a share's snapshot a link stands where a folder with a room of its own was: its text says nothing
    but the way to that folder's own snapshot of the same name, and anything else is no such link.
    """
    real = [SNAPSHOTS, snapshot]
    descriptor = open_folder(root, real)
    if is_put_aside(root, snapshot, asked[:2]):
        os.close(descriptor)
        return asked[:2] + real + asked[2:]
    try:
        for count, step in enumerate(asked):
            if is_room_link(descriptor, step, asked[: count + 1], snapshot):
                real = asked[: count + 1] + [SNAPSHOTS, snapshot] + asked[count + 1 :]
                return real
            real.append(step)
            found = look(descriptor, step)
            if found is None or not stat.S_ISDIR(found.st_mode):
                return real + asked[count + 1 :]
            below = os.open(step, FOLDER, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        return real
    finally:
        os.close(descriptor)


def is_put_aside(root, snapshot, steps):
    """A folder with a room of its own that has another name since: its own snapshots went with it, and the share's know it by the old one."""
    if not is_room_place(steps):
        return False
    try:
        os.close(open_folder(root, [*steps, SNAPSHOTS, snapshot]))
    except OSError:
        return False
    try:
        descriptor = open_folder(root, [SNAPSHOTS, snapshot, steps[0]])
    except OSError:
        return True
    try:
        return look(descriptor, steps[1]) is None
    finally:
        os.close(descriptor)


def is_room_link(descriptor, name, steps, snapshot):
    try:
        text = os.readlink(name, dir_fd=descriptor)
    except OSError:
        return False
    while text.startswith(b"../"):
        text = text[3:]
    return text == b"/".join([*steps, SNAPSHOTS, snapshot])


def open_file(descriptor, name, flags):
    found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    if stat.S_ISDIR(found.st_mode):
        raise Refusal("Conflict", "A folder is there, and no file.")
    if not stat.S_ISREG(found.st_mode):
        raise Refusal("NotFound", "There is no such file: something that is no file is in its place.")
    opened = os.open(name, flags | FILE, dir_fd=descriptor)
    if not stat.S_ISREG(os.fstat(opened).st_mode):
        os.close(opened)
        raise Refusal("NotFound", "There is no such file: something that is no file is in its place.")
    return opened
