"""What is known of a file or a folder: what control is told of it, its metadata, and whose it is."""

import contextlib
import errno
import json
import os
import re
import stat

from share_files.places import FILE, look
from share_files.refusals import Refusal

XATTR = b"user.poolhouse"
KEPT_XATTRS = re.compile(r"user\.|system\.posix_acl_(access|default)$")
# The beginning of 1601 and the end of 9999, in milliseconds.
FIRST_MOMENT = -11_644_473_600_000
LAST_MOMENT = 253_402_300_799_999


def entry_of(name, found, metadata):
    modified = moment_of(found.st_mtime_ns)
    return {
        "name": os.fsdecode(name),
        "kind": "folder" if stat.S_ISDIR(found.st_mode) else "file",
        "size": 0 if stat.S_ISDIR(found.st_mode) else found.st_size,
        "modifiedAt": modified,
        "createdAt": min(modified, moment_of(found.st_ctime_ns)),
        "etag": "%x-%x-%x" % (found.st_ino, found.st_ctime_ns, found.st_size),
        "metadata": metadata,
    }


def moment_of(nanoseconds):
    """In milliseconds. Anybody may set any time: what no calendar has becomes the nearest that Azure's has."""
    return min(max(nanoseconds // 1_000_000, FIRST_MOMENT), LAST_MOMENT)


def metadata_of(descriptor):
    """Anybody may have written it: what is no metadata is none."""
    try:
        value = json.loads(os.getxattr(descriptor, XATTR))
    except (OSError, ValueError):
        return {}
    if not isinstance(value, dict):
        return {}
    return {key: text for key, text in value.items() if isinstance(text, str)}


def set_metadata(descriptor, metadata):
    if not isinstance(metadata, dict) or not all(isinstance(text, str) for text in metadata.values()):
        raise Refusal("InvalidParameter", "Metadata are names and texts.")
    if metadata:
        os.setxattr(descriptor, XATTR, json.dumps(metadata, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        return
    with contextlib.suppress(OSError):
        os.removexattr(descriptor, XATTR)


def entry_at(descriptor, name):
    """Of a file or a folder; None of anything else."""
    found = listed(descriptor, name)
    if found is None:
        return None
    try:
        opened = os.open(name, os.O_RDONLY | FILE, dir_fd=descriptor)
    except OSError:
        return None
    try:
        return entry_of(name, os.fstat(opened), metadata_of(opened))
    finally:
        os.close(opened)


def listed(descriptor, name):
    """What is known of a file or a folder without opening it; None of anything else."""
    found = look(descriptor, name)
    is_shown = found is not None and (stat.S_ISREG(found.st_mode) or stat.S_ISDIR(found.st_mode))
    return found if is_shown else None


def like_above(descriptor, made, mode):
    """What is made in a folder belongs to whom the folder belongs to, and whoever may use the folder may use it."""
    above = os.fstat(descriptor)
    os.fchown(made, above.st_uid, above.st_gid)
    os.fchmod(made, above.st_mode & mode)


def same_attributes(one, other):
    parts = ("st_mode", "st_uid", "st_gid", "st_size", "st_mtime_ns")
    return all(getattr(one, part) == getattr(other, part) for part in parts)


def kept_xattrs(descriptor):
    kept = {}
    try:
        names = os.listxattr(descriptor)
    except OSError as error:
        if error.errno != errno.ENOTSUP:
            raise
        return kept
    for name in filter(KEPT_XATTRS.match, names):
        try:
            kept[name] = os.getxattr(descriptor, name)
        except OSError as error:
            if error.errno not in (errno.ENODATA, errno.ENOTSUP):
                raise
    return kept


def copy_attributes(source, made):
    found = os.fstat(source)
    os.fchown(made, found.st_uid, found.st_gid)
    os.fchmod(made, stat.S_IMODE(found.st_mode))
    wanted, present = kept_xattrs(source), kept_xattrs(made)
    for name in present.keys() - wanted.keys():
        os.removexattr(made, name)
    for name, value in wanted.items():
        if present.get(name) != value:
            os.setxattr(made, name, value)
    os.utime(made, ns=(found.st_atime_ns, found.st_mtime_ns))
