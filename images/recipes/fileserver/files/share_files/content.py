"""What is in files: compared, and copied so that nobody ever sees half of it."""

import contextlib
import errno
import os
import secrets
import stat

from share_files.attributes import copy_attributes
from share_files.kernel import NO_MORE, next_data, share_blocks
from share_files.places import NEW_FILE, look, open_file

PIECE = 1 << 20


def same_content(one, other):
    """Of files of one size."""
    offset = 0
    while (start := min(next_data(one, offset), next_data(other, offset))) < NO_MORE:
        piece = os.pread(one, PIECE, start)
        if piece != os.pread(other, PIECE, start):
            return False
        if not piece:
            return True
        offset = start + len(piece)
    return True


def copy_content(source, made, still_wanted=None):
    """Where the file system can, both have the same blocks from then on."""
    try:
        share_blocks(source, made)
        return
    except OSError as error:
        if error.errno in (errno.EDQUOT, errno.ENOSPC):
            raise
    while piece := os.read(source, PIECE):
        if still_wanted is not None:
            still_wanted()
        left = memoryview(piece)
        while left:
            left = left[os.write(made, left) :]


@contextlib.contextmanager
def appearing(stack, there, wanted):
    """A new file that takes its name in one step when all went well; otherwise nothing of it stays. Open until the stack ends."""
    passing = b".poolhouse-" + secrets.token_hex(8).encode()
    made = os.open(passing, NEW_FILE, 0o600, dir_fd=there)
    stack.callback(os.close, made)
    try:
        yield made
        os.rename(passing, wanted, src_dir_fd=there, dst_dir_fd=there)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(passing, dir_fd=there)
        raise


def put_copy(here, name, there, wanted):
    """The file as it is here becomes the one there, in one step: nobody sees half of it."""
    source = open_file(here, name, os.O_RDONLY)
    try:
        try:
            put_once(source, there, wanted)
        except OSError as error:
            found = look(there, wanted)
            if error.errno not in (errno.EDQUOT, errno.ENOSPC) or found is None or not stat.S_ISREG(found.st_mode):
                raise
            # Both of them do not fit: the old one makes room.
            os.unlink(wanted, dir_fd=there)
            os.lseek(source, 0, os.SEEK_SET)
            put_once(source, there, wanted)
    finally:
        os.close(source)


def put_once(source, there, wanted):
    with contextlib.ExitStack() as stack, appearing(stack, there, wanted) as made:
        copy_content(source, made)
        copy_attributes(source, made)
