"""Bodies of HTTP/1.1, read and written."""

import re

from share_files.arguments import natural
from share_files.content import PIECE
from share_files.refusals import Gone, Refusal


class Body:
    """The body of a request: all of it, or an error; never less without a word."""

    def __init__(self, stream, headers):
        self.stream = stream
        self.is_chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        self.left = 0 if self.is_chunked else length_of(headers.get("content-length") or "0")
        self.is_done = not self.is_chunked and self.left == 0

    def read(self, count):
        pieces = []
        while count > 0 and not self.is_done:
            if self.left == 0:
                self._next_chunk()
                continue
            piece = self.stream.read(min(count, self.left))
            if not piece:
                raise Gone()
            pieces.append(piece)
            count -= len(piece)
            self._took(len(piece))
        return b"".join(pieces)

    def drain(self):
        while self.read(PIECE):
            pass

    def _took(self, count):
        self.left -= count
        if self.left > 0:
            return
        if self.is_chunked:
            self.stream.readline(3)
        else:
            self.is_done = True

    def _next_chunk(self):
        line = self.stream.readline(100)
        if not re.fullmatch(rb"[0-9A-Fa-f]{1,12}\r\n", line):
            raise Gone()
        self.left = int(line, 16)
        if self.left == 0:
            self.is_done = True


def length_of(text):
    try:
        return natural(int(text))
    except ValueError:
        raise Refusal("InvalidParameter", "The length of the body cannot be read.") from None


class Chunks:
    def __init__(self, stream):
        self.stream = stream

    def write(self, piece):
        if piece:
            self.stream.write(b"%x\r\n%b\r\n" % (len(piece), piece))
