"""What is done with files and folders alike: find, change, rename."""

import errno
import os
import stat

from share_files.arguments import natural
from share_files.attributes import entry_at, entry_of, metadata_of, set_metadata
from share_files.content import put_copy
from share_files.folders import refuse_rooms
from share_files.kernel import rename_to_free_name
from share_files.places import FOLDER, look, open_file, open_folder
from share_files.refusals import Refusal


NO_FILE = "What is there is a link, a socket or the like, and no file or folder. The folder that it is in has it."


def find(request):
    place = request.place()
    if not place.steps:
        return entry_of(b"", os.fstat(place.root), metadata_of(place.root))
    if place.snapshot is not None and not place.asked:
        opened = place.keep(open_folder(place.root, place.steps))
        return entry_of(b"", os.fstat(opened), metadata_of(opened))
    descriptor, name = place.above()
    entry = entry_at(descriptor, name)
    if entry is None:
        is_other = look(descriptor, name) is not None
        raise Refusal("NotFound", NO_FILE if is_other else "There is no such file or folder.")
    return {**entry, "name": os.fsdecode(place.asked[-1])}


def change(request):
    place = request.place().changing()
    wanted = request.arguments.get("change")
    if not isinstance(wanted, dict):
        raise Refusal("InvalidParameter", "What is to be changed is missing.")
    if place.steps:
        descriptor, name = place.above()
        found = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode):
            opened = os.open(name, FOLDER, dir_fd=descriptor)
        else:
            opened = open_file(descriptor, name, os.O_RDWR)
        place.keep(opened)
    else:
        opened, name = place.root, b""
    if "metadata" in wanted:
        set_metadata(opened, wanted["metadata"])
    if "size" in wanted:
        os.ftruncate(opened, natural(wanted["size"]))
    if "modifiedAt" in wanted:
        moment = natural(wanted["modifiedAt"]) * 1_000_000
        os.utime(opened, ns=(moment, moment))
    return entry_of(name, os.fstat(opened), metadata_of(opened))


def rename(request):
    source, target = request.place("from").changing(), request.place("to").changing()
    here, name = source.above()
    there, wanted = target.above()
    if (source.root != target.root) and not os.path.samestat(os.fstat(source.root), os.fstat(target.root)):
        raise Refusal("OperationNotAllowed", "A file can be renamed within its share only.")
    found = os.stat(name, dir_fd=here, follow_symlinks=False)
    if stat.S_ISDIR(found.st_mode):
        refuse_rooms(source, here, name)
    elif not stat.S_ISREG(found.st_mode):
        raise Refusal("NotFound", "There is no such file or folder.")
    replace = request.arguments.get("replace") is True
    taken = look(there, wanted)
    if replace and taken is not None and not (stat.S_ISREG(taken.st_mode) and stat.S_ISREG(found.st_mode)):
        raise Refusal("Conflict", "Only a file can be put in place of a file.")
    try:
        move(here, name, there, wanted, replace)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        if not stat.S_ISREG(found.st_mode):
            raise Refusal("OperationNotAllowed", "A folder cannot be moved into or out of a workspace.") from None
        if taken is not None and not replace:
            raise Refusal("Conflict", "Something is there already.") from None
        put_copy(here, name, there, wanted)
        os.unlink(name, dir_fd=here)
    return {}


def move(here, name, there, wanted, replace):
    if replace:
        os.rename(name, wanted, src_dir_fd=here, dst_dir_fd=there)
    else:
        rename_to_free_name(here, name, there, wanted)
