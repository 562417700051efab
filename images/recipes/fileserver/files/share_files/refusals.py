"""What cannot be done, in the words that control is told: a code, and a sentence that is safe for whoever asked."""

import errno
import sys


class Refusal(Exception):
    def __init__(self, code, message, retryable=False):
        super().__init__(message)
        self.code, self.retryable = code, retryable


class Gone(Exception):
    """Whoever asked has left."""


STATUS = {
    "NotFound": 404,
    "Conflict": 409,
    "OperationNotAllowed": 409,
    "QuotaExceeded": 409,
    "InvalidParameter": 400,
    "InvalidRequestContent": 400,
    "Unavailable": 503,
}
WORDS = {
    errno.ENOENT: ("NotFound", "There is no such file or folder."),
    errno.ENOTDIR: ("NotFound", "There is no such folder: a file or a link is in the way."),
    errno.ELOOP: ("NotFound", "There is no such file: a link is in its place."),
    errno.ENXIO: ("NotFound", "There is no such file: something that is no file is in its place."),
    errno.EEXIST: ("Conflict", "Something is there already."),
    errno.ENOTEMPTY: ("Conflict", "The folder is not empty."),
    errno.EISDIR: ("Conflict", "A folder is there."),
    errno.EBUSY: ("Conflict", "It is in use."),
    errno.EROFS: ("OperationNotAllowed", "A snapshot cannot be changed."),
    errno.EPERM: ("OperationNotAllowed", "It may not be changed."),
    errno.EDQUOT: ("QuotaExceeded", "The disk quota is exceeded."),
    errno.ENOSPC: ("QuotaExceeded", "There is no room left."),
    errno.EFBIG: ("QuotaExceeded", "The file would be larger than any may be."),
    errno.ENAMETOOLONG: ("InvalidParameter", "A name is too long."),
    errno.EINVAL: ("InvalidParameter", "This cannot be done with it."),
    errno.E2BIG: ("InvalidParameter", "The metadata is too long."),
    errno.ERANGE: ("InvalidParameter", "The metadata is too long."),
    errno.ENOTSUP: ("OperationNotAllowed", "The file system keeps no metadata."),
    errno.EMFILE: ("Unavailable", "The file server has too much to do."),
    errno.ENFILE: ("Unavailable", "The file server has too much to do."),
    errno.ENOMEM: ("Unavailable", "The file server has too much to do."),
}


def refusal_of(error, path):
    if error.errno in WORDS:
        code, message = WORDS[error.errno]
        return Refusal(code, message, code == "Unavailable")
    print("%s: %s" % (path, error.strerror), file=sys.stderr, flush=True)
    return Refusal("InternalServerError", "The file server could not do it: %s." % error.strerror)
