"""What the kernel does that Python's own library has no word for."""

import ctypes
import errno
import fcntl
import os

FICLONE = 0x40049409
PUNCH_HOLE = 3
NOREPLACE = 1
# Larger than any file.
NO_MORE = 1 << 63

libc = ctypes.CDLL(None, use_errno=True)


def rename_to_free_name(here, name, there, wanted):
    """`FileExistsError` where the name is taken, even by a moment."""
    if libc.renameat2(here, name, there, wanted, NOREPLACE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def punch_hole(descriptor, start, length):
    """True where the file system could."""
    return libc.fallocate(descriptor, PUNCH_HOLE, ctypes.c_long(start), ctypes.c_long(length)) == 0


def share_blocks(source, made):
    """Both files have the same blocks from then on."""
    fcntl.ioctl(made, FICLONE, source)


def sync_file_system(descriptor):
    libc.syncfs(descriptor)


def next_data(descriptor, offset, kind=os.SEEK_DATA):
    """Where the next byte is that is in no hole, or in one; `NO_MORE` where there is none."""
    try:
        return os.lseek(descriptor, offset, kind)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return NO_MORE
