"""Folders: list, make, remove. Those with rooms of their own are control's to make and to remove."""

import os
import stat

from share_files.attributes import entry_of, like_above, listed, metadata_of, set_metadata
from share_files.places import FOLDER, ROOM_NUMBER, SNAPSHOTS, is_reserved, is_room, is_room_link, look, open_folder
from share_files.refusals import Refusal


def list_folder(request):
    place = request.place()
    prefix = os.fsencode(request.text("prefix", ""))
    after = os.fsencode(request.text("after", ""))
    most = request.number("most", 1)
    descriptor = place.keep(open_folder(place.root, place.steps))
    names = sorted(
        name
        for name in map(os.fsencode, os.listdir(descriptor))
        if name.startswith(prefix) and name > after and not is_reserved(place.asked, name)
    )
    entries = []
    for name in names:
        if place.snapshot is not None and is_room_link(descriptor, name, [*place.asked, name], place.snapshot):
            found = room_found(place, name)
        else:
            found = listed(descriptor, name)
        if found is None:
            continue
        if len(entries) == most:
            return {"entries": entries, "next": entries[-1]["name"]}
        # Without metadata: of thousands of files it would be more than an answer may have.
        entries.append(entry_of(name, found, {}))
    return {"entries": entries}


def room_found(place, name):
    try:
        opened = open_folder(place.root, [*place.asked, name, SNAPSHOTS, place.snapshot])
    except OSError:
        return None
    try:
        return os.fstat(opened)
    finally:
        os.close(opened)


def make_folder(request):
    place = request.place().changing()
    descriptor, name = place.above()
    os.mkdir(name, 0o700, dir_fd=descriptor)
    made = place.keep(os.open(name, FOLDER, dir_fd=descriptor))
    try:
        like_above(descriptor, made, 0o3777)
        set_metadata(made, request.arguments.get("metadata", {}))
    except BaseException:
        os.rmdir(name, dir_fd=descriptor)
        raise
    return entry_of(name, os.fstat(made), metadata_of(made))


def remove_folder(request):
    place = request.place().changing()
    descriptor, name = place.above()
    refuse_rooms(place, descriptor, name)
    os.rmdir(name, dir_fd=descriptor)
    return {}


def refuse_rooms(place, descriptor, name):
    """Folders with rooms of their own are control's to make and to remove."""
    opened = place.keep(os.open(name, FOLDER, dir_fd=descriptor))
    if is_room(opened, place.asked):
        raise Refusal("OperationNotAllowed", "This is somebody's workspace: it can neither be moved nor removed here.")
    for below in map(os.fsencode, os.listdir(opened)):
        found = look(opened, below)
        if found is not None and stat.S_ISDIR(found.st_mode) and found.st_ino == ROOM_NUMBER:
            raise Refusal("OperationNotAllowed", "Workspaces are in it: it can neither be moved nor removed here.")
