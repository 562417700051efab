"""A folder as a tar, as it is or as it was in a snapshot; holes stay holes (sparse format 1.0 of GNU tar)."""

import contextlib
import errno
import os
import stat
import sys
import tarfile

from share_files.attributes import kept_xattrs
from share_files.content import PIECE
from share_files.kernel import next_data
from share_files.places import SNAPSHOTS, is_reserved, is_room_link, look, open_file, open_folder
from share_files.refusals import Refusal

# Holes that are smaller are packed as zeros.
SMALLEST_HOLE = 1 << 16
MOST_SPANS = 1 << 18


def pack(request):
    place = request.place()
    base = place.asked
    os.close(open_folder(place.root, place.steps))
    with request.streamed() as out:
        tar = tarfile.open(mode="w|", fileobj=out, bufsize=PIECE, format=tarfile.PAX_FORMAT, encoding="utf-8", errors="surrogateescape")
        linked = {}
        waiting = [(place.steps, [])]
        while waiting:
            source, path = waiting.pop()
            with contextlib.ExitStack() as stack:
                try:
                    descriptor = open_folder(place.root, source)
                except (FileNotFoundError, NotADirectoryError):
                    continue
                stack.callback(os.close, descriptor)
                member = member_of(path, os.fstat(descriptor))
                member.type = tarfile.DIRTYPE
                add_xattrs(member, descriptor)
                tar.addfile(member)
                for name in sorted(map(os.fsencode, os.listdir(descriptor)), reverse=True):
                    if is_reserved([*base, *path], name):
                        continue
                    below, steps = [*source, name], [*path, name]
                    if place.snapshot is not None and is_room_link(descriptor, name, [*base, *steps], place.snapshot):
                        waiting.append(([*base, *steps, SNAPSHOTS, place.snapshot], steps))
                        continue
                    found = look(descriptor, name)
                    if found is not None and stat.S_ISDIR(found.st_mode):
                        waiting.append((below, steps))
                    elif found is not None:
                        add_member(tar, descriptor, name, steps, found, linked)
                    tar.members = []
        tar.close()


def add_member(tar, descriptor, name, steps, found, linked):
    member = member_of(steps, found)
    if stat.S_ISLNK(found.st_mode):
        member.type = tarfile.SYMTYPE
        member.linkname = os.fsdecode(os.readlink(name, dir_fd=descriptor))
        tar.addfile(member)
        return
    if stat.S_ISFIFO(found.st_mode):
        member.type = tarfile.FIFOTYPE
        tar.addfile(member)
        return
    if not stat.S_ISREG(found.st_mode):
        return
    try:
        opened = open_file(descriptor, name, os.O_RDONLY)
    except (FileNotFoundError, Refusal):
        return  # gone since
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        return  # a link is in its place since
    try:
        found = os.fstat(opened)
        number = (found.st_dev, found.st_ino)
        if found.st_nlink > 1 and number in linked:
            member.type, member.linkname = tarfile.LNKTYPE, linked[number]
            tar.addfile(member)
            return
        add_xattrs(member, opened)
        if add_content(tar, opened, member, found) and found.st_nlink > 1:
            linked[number] = member.name
    finally:
        os.close(opened)


def add_content(tar, opened, member, found):
    """With holes as holes (sparse format 1.0 of GNU tar). False where it was left out."""
    size = member.size = found.st_size
    spans = [(0, size)]
    if found.st_blocks * 512 < size:
        spans = spans_of(opened, size)
        if spans is None and size < found.st_blocks * 512 * 16:
            spans = [(0, size)]
        if spans is None:
            print("pack: a file of %d bytes in more than %d pieces was left out" % (size, MOST_SPANS), file=sys.stderr, flush=True)
            return False
    if spans == [(0, size)]:
        tar.addfile(member, Exactly(opened, spans))
        return True
    # It ends where the file does, also where that is a hole.
    numbers = [number for span in [*spans, (size, 0)] for number in span]
    listed = b"".join(b"%d\n" % number for number in [len(spans) + 1, *numbers])
    listed += bytes(-len(listed) % tarfile.BLOCKSIZE)
    member.pax_headers.update({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": "%d" % size})
    member.size = len(listed) + sum(length for _, length in spans)
    tar.addfile(member, Exactly(opened, spans, listed))
    return True


def member_of(steps, found):
    member = Member("/".join(os.fsdecode(step) for step in steps) or ".")
    member.mode, member.uid, member.gid = stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid
    member.mtime = 0
    member.pax_headers = {"mtime": "%d.%09d" % divmod(found.st_mtime_ns, 1_000_000_000)}
    return member


def add_xattrs(member, descriptor):
    for name, value in kept_xattrs(descriptor).items():
        member.pax_headers["SCHILY.xattr." + name] = value.decode("utf-8", "surrogateescape")


class Member(tarfile.TarInfo):
    """
    How much of it is packed stands in the header itself, however much it is: among the extended headers, readers would take it for the
    size of a file with holes.
    """

    def tobuf(self, *arguments, **named):
        packed, self.size = self.size, 0
        whole = super().tobuf(*arguments, **named)
        self.size = packed
        header = bytearray(whole[-tarfile.BLOCKSIZE :])
        header[124:136] = tarfile.itn(packed, 12, tarfile.GNU_FORMAT)
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        return whole[: -tarfile.BLOCKSIZE] + bytes(header)


def spans_of(descriptor, size):
    """Where a file holds something: pairs of an offset and a length. None where there is more of them than anybody makes who means well."""
    spans, offset = [], 0
    while (start := next_data(descriptor, offset)) < size:
        offset = min(next_data(descriptor, start, os.SEEK_HOLE), size)
        if spans and start - sum(spans[-1]) < SMALLEST_HOLE:
            start = spans.pop()[0]
        spans.append((start, offset - start))
        if len(spans) > MOST_SPANS:
            return None
    return spans


class Exactly:
    """As many bytes of each span as were said before, whatever becomes of the file meanwhile; before them what is given."""

    def __init__(self, descriptor, spans, first=b""):
        self.descriptor, self.spans, self.first = descriptor, spans[::-1], memoryview(first)

    def read(self, count):
        piece, self.first = bytearray(self.first[:count]), self.first[count:]
        while len(piece) < count and self.spans:
            start, left = self.spans.pop()
            wanted = min(left, count - len(piece))
            found = os.pread(self.descriptor, wanted, start)
            piece += found
            piece += bytes(wanted - len(found))
            if left > wanted:
                self.spans.append((start + wanted, left - wanted))
        return bytes(piece)
