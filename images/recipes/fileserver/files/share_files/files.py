"""Files: create, remove, read, write, clear, copy."""

import contextlib
import os
import stat

from share_files.attributes import entry_of, like_above, metadata_of, set_metadata
from share_files.content import PIECE, appearing, copy_content
from share_files.kernel import punch_hole
from share_files.places import NEW_FILE, look, open_file
from share_files.refusals import Refusal


def create_file(request):
    place = request.place().changing()
    size, metadata = request.number("size"), request.arguments.get("metadata", {})
    descriptor, name = place.above()
    found = look(descriptor, name)
    if found is None:
        made = place.keep(os.open(name, NEW_FILE, 0o600, dir_fd=descriptor))
        try:
            like_above(descriptor, made, 0o666)
            set_metadata(made, metadata)
            os.ftruncate(made, size)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=descriptor)
            raise
    elif not stat.S_ISREG(found.st_mode):
        raise Refusal("Conflict", "Something that is no file is in its place.")
    else:
        made = place.keep(open_file(descriptor, name, os.O_WRONLY))
        # First what may be refused: then what was there is there still.
        set_metadata(made, metadata)
        os.ftruncate(made, 0)
        os.ftruncate(made, size)
    return entry_of(name, os.fstat(made), metadata_of(made))


def remove_file(request):
    place = request.place().changing()
    descriptor, name = place.above()
    found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    if stat.S_ISDIR(found.st_mode):
        raise Refusal("Conflict", "A folder is there, and no file.")
    if not stat.S_ISREG(found.st_mode):
        raise Refusal("NotFound", "There is no such file: something that is no file is in its place.")
    os.unlink(name, dir_fd=descriptor)
    return {}


def read(request):
    place = request.place()
    descriptor, name = place.above()
    opened = place.keep(open_file(descriptor, name, os.O_RDONLY))
    size = os.fstat(opened).st_size
    start = min(request.number("from"), size)
    length = min(request.number("length", size), size - start)
    request.send_file(opened, start, length)


def write(request):
    place = request.place().changing()
    descriptor, name = place.above()
    opened = place.keep(open_file(descriptor, name, os.O_RDWR))
    offset = request.number("from")
    while piece := request.body.read(PIECE):
        left = memoryview(piece)
        while left:
            count = os.pwrite(opened, left, offset)
            left, offset = left[count:], offset + count
    return entry_of(name, os.fstat(opened), metadata_of(opened))


def clear(request):
    place = request.place().changing()
    descriptor, name = place.above()
    opened = place.keep(open_file(descriptor, name, os.O_RDWR))
    start = request.number("from")
    length = min(request.number("length"), os.fstat(opened).st_size - start)
    if length > 0 and not punch_hole(opened, start, length):
        end = start + length
        while start < end:
            start += os.pwrite(opened, bytes(min(PIECE, end - start)), start)
    return entry_of(name, os.fstat(opened), metadata_of(opened))


def copy(request):
    source, target = request.place("from"), request.place("to").changing()
    here, name = source.above()
    there, wanted = target.above()
    opened = source.keep(open_file(here, name, os.O_RDONLY))
    taken = look(there, wanted)
    if taken is not None and not stat.S_ISREG(taken.st_mode):
        raise Refusal("Conflict", "Something that is no file is in its place.")
    with appearing(target.stack, there, wanted) as made:
        if taken is None:
            like_above(there, made, 0o666)
        else:
            os.fchown(made, taken.st_uid, taken.st_gid)
            os.fchmod(made, stat.S_IMODE(taken.st_mode))
        set_metadata(made, request.arguments.get("metadata", {}))
        copy_content(opened, made, request.still_wanted)
    return entry_of(wanted, os.fstat(made), metadata_of(made))
