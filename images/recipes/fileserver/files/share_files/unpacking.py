"""A tar made a folder again. It may be anybody's: nothing is made outside of the folder, by whatever names and links it has."""

import contextlib
import os
import re
import stat
import tarfile

from share_files.attributes import KEPT_XATTRS
from share_files.content import PIECE
from share_files.kernel import sync_file_system
from share_files.places import FOLDER, NEW_FILE, is_reserved, look, open_file, open_folder
from share_files.refusals import Refusal

ZEROS = bytes(PIECE)


def unpack(request):
    place = request.place().changing()
    work = Unpacking(request, place)
    try:
        tar = tarfile.open(mode="r|", fileobj=request.body, bufsize=PIECE, encoding="utf-8", errors="surrogateescape")
        while (member := tar.next()) is not None:
            tar.members = []
            work.member(tar, member)
    except tarfile.TarError as error:
        raise Refusal("InvalidRequestContent", "This is no tar that can be read: %s." % error) from error
    request.body.drain()
    for steps, member in sorted(work.folders.items(), reverse=True):
        descriptor = open_folder(work.base, list(steps))
        try:
            work.attributes(descriptor, member, 0o3777)
        finally:
            os.close(descriptor)
    sync_file_system(place.root)
    return {"files": work.files}


class Unpacking:
    def __init__(self, request, place):
        self.request, self.place = request, place
        self.base = place.keep(open_folder(place.root, place.steps))
        self.files = 0
        self.folders = {}

    def steps(self, name):
        path = os.fsencode(name)
        steps = [step for step in path.split(b"/") if step not in (b"", b".")]
        if path.startswith(b"/") or b".." in steps or b"\0" in path:
            raise Refusal("InvalidRequestContent", "The tar names a place outside of the folder: nothing more was unpacked.")
        return steps

    def is_kept_out(self, steps):
        whole = [*self.place.asked, *steps]
        return any(is_reserved(whole[:count], name) for count, name in enumerate(whole))

    def above(self, stack, steps):
        descriptor = os.dup(self.base)
        for step in steps[:-1]:
            try:
                try:
                    os.mkdir(step, 0o755, dir_fd=descriptor)
                except FileExistsError:
                    pass
                below = os.open(step, FOLDER, dir_fd=descriptor)
            except NotADirectoryError:
                raise Refusal("Conflict", "A file or a link is in the place of a folder that the tar holds.") from None
            finally:
                os.close(descriptor)
            descriptor = below
        stack.callback(os.close, descriptor)
        return descriptor

    def member(self, tar, member):
        steps = self.steps(member.name)
        if self.is_kept_out(steps):
            return
        if not steps:
            if member.isdir():
                self.folders[()] = member
            return
        with contextlib.ExitStack() as stack:
            above, name = self.above(stack, steps), steps[-1]
            present = look(above, name)
            if member.isdir():
                if present is None:
                    os.mkdir(name, 0o700, dir_fd=above)
                elif not stat.S_ISDIR(present.st_mode):
                    os.unlink(name, dir_fd=above)
                    os.mkdir(name, 0o700, dir_fd=above)
                self.folders[tuple(steps)] = member
                return
            if not (member.isreg() or member.issym() or member.islnk() or member.isfifo()):
                return
            if present is not None and stat.S_ISDIR(present.st_mode):
                raise Refusal("Conflict", "A folder is in the place of a file that the tar holds.")
            if member.islnk():
                self.hard_link(stack, member, above, name)
            else:
                if present is not None:
                    os.unlink(name, dir_fd=above)
                self.other(stack, tar, member, above, name)
            self.files += 1

    def other(self, stack, tar, member, above, name):
        if member.isreg():
            made = os.open(name, NEW_FILE, 0o600, dir_fd=above)
            stack.callback(os.close, made)
            self.content(made, tar.extractfile(member).raw, member)
            self.attributes(made, member, 0o1777)
            return
        if member.issym():
            os.symlink(os.fsencode(member.linkname), name, dir_fd=above)
        else:
            os.mkfifo(name, member.mode & 0o777, dir_fd=above)
        with contextlib.suppress(OSError):
            os.chown(name, member.uid, member.gid, dir_fd=above, follow_symlinks=False)

    def content(self, made, content, member):
        """What is all zeros becomes a hole."""
        for offset, length in [(0, member.size)] if member.sparse is None else member.sparse:
            end = offset + length
            content.seek(offset)
            while offset < end and (piece := content.read(min(PIECE, end - offset))):
                left = memoryview(b"" if piece == ZEROS[: len(piece)] else piece)
                at, offset = offset, offset + len(piece)
                while left:
                    count = os.pwrite(made, left, at)
                    left, at = left[count:], at + count
        os.ftruncate(made, member.size)

    def hard_link(self, stack, member, above, name):
        steps = self.steps(member.linkname)
        if not steps or self.is_kept_out(steps):
            return
        source = open_folder(self.base, steps[:-1])
        stack.callback(os.close, source)
        opened = open_file(source, steps[-1], os.O_RDONLY)
        stack.callback(os.close, opened)
        present = look(above, name)
        if present is not None and os.path.samestat(present, os.fstat(opened)):
            return
        if present is not None:
            os.unlink(name, dir_fd=above)
        os.link(steps[-1], name, src_dir_fd=source, dst_dir_fd=above, follow_symlinks=False)

    def attributes(self, made, member, modes):
        with contextlib.suppress(OSError):  # a number that nobody can have here: it stays ours
            os.fchown(made, member.uid, member.gid)
        os.fchmod(made, member.mode & modes)
        for key, value in member.pax_headers.items():
            name = key.removeprefix("SCHILY.xattr.")
            if name != key and KEPT_XATTRS.match(name):
                with contextlib.suppress(OSError):
                    os.setxattr(made, name, value.encode("utf-8", "surrogateescape"))
        moment = nanoseconds(member.pax_headers.get("mtime"), member.mtime)
        os.utime(made, ns=(moment, moment))


def nanoseconds(text, otherwise):
    found = re.fullmatch(r"(-?\d{1,11})(?:\.(\d{1,9})\d*)?", text or "")
    if found is None:
        return int(min(max(otherwise, 0), 1 << 33)) * 1_000_000_000
    return int(found[1]) * 1_000_000_000 + int((found[2] or "0").ljust(9, "0"))
