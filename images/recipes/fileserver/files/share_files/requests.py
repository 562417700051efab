"""One request of HTTP/1.1: `POST /METHOD` with the header `Arguments` (JSON in base64) and, for some, a body."""

import contextlib
import json
import os
import select
import socket
import sys
from http.server import BaseHTTPRequestHandler

from share_files.arguments import arguments_of, natural
from share_files.bodies import Body, Chunks
from share_files.content import PIECE
from share_files.methods import METHODS
from share_files.places import Place
from share_files.refusals import STATUS, Gone, Refusal, refusal_of

# How long a request may take to arrive once it has begun, and how long nobody may take what is sent.
PATIENCE_SECONDS = 120


class Request(BaseHTTPRequestHandler):
    """One request on one connection."""

    protocol_version = "HTTP/1.1"
    timeout = PATIENCE_SECONDS
    # What a failure says of the request itself is no help to anybody.
    error_message_format = ""

    def __init__(self, connection, settings):
        self.settings = settings
        super().__init__(connection, "", None)

    def do_POST(self):
        self.has_answered = False
        self.close_connection = True
        with contextlib.ExitStack() as stack:
            self.stack = stack
            try:
                answer = self._answer()
                if not self.has_answered:
                    self.send(200, answer)
            except (Gone, BrokenPipeError, ConnectionError, TimeoutError):
                pass
            except Refusal as refusal:
                self.refuse(refusal)
            except OSError as error:
                self.refuse(refusal_of(error, self.path))
            except Exception as error:  # noqa: BLE001 - the others go on
                print("%s: %s: %s" % (self.path, type(error).__name__, error), file=sys.stderr, flush=True)
                self.refuse(Refusal("InternalServerError", "The file server met an unexpected error."))

    def _answer(self):
        method = METHODS.get(self.path.removeprefix("/"))
        if method is None:
            raise Refusal("NotFound", "The file server knows no such method.")
        self.arguments = arguments_of(self.headers.get("arguments", ""))
        self.body = Body(self.rfile, self.headers)
        return method(self)

    def place(self, name="place"):
        asked = self.arguments.get(name)
        return Place(self.stack, self.settings, asked if isinstance(asked, dict) else {})

    def number(self, name, otherwise=None):
        return natural(self.arguments.get(name, otherwise))

    def text(self, name, otherwise):
        value = self.arguments.get(name, otherwise)
        if not isinstance(value, str):
            raise Refusal("InvalidParameter", "A text is none.")
        return value

    def still_wanted(self):
        readable, _, _ = select.select([self.connection], [], [], 0)
        if readable and self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b"":
            raise Gone()

    def refuse(self, refusal):
        if self.has_answered:
            return  # what was begun ends in the middle, and whoever reads it sees that
        with contextlib.suppress(OSError):
            words = {"code": refusal.code, "message": str(refusal), "retryable": refusal.retryable}
            self.send(STATUS.get(refusal.code, 500), words)
            self._linger()

    def _linger(self):
        """Whoever is still sending would lose the answer when the connection closed at once."""
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_WR)
            self.connection.settimeout(2)
            for _ in range(64):
                if not self.connection.recv(PIECE):
                    return

    def send(self, status, answer):
        self.has_answered = True
        body = json.dumps(answer).encode()
        self.send_response_only(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def send_file(self, opened, start, length):
        self.has_answered = True
        self.send_response_only(200)
        self.send_header("content-length", str(length))
        self.send_header("connection", "close")
        self.end_headers()
        while length > 0:
            piece = os.pread(opened, min(PIECE, length), start)
            if not piece:
                return  # it has become shorter: what is missing tells
            self.wfile.write(piece)
            start, length = start + len(piece), length - len(piece)

    @contextlib.contextmanager
    def streamed(self):
        self.has_answered = True
        self.send_response_only(200)
        self.send_header("transfer-encoding", "chunked")
        self.send_header("connection", "close")
        self.end_headers()
        yield Chunks(self.wfile)
        self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *_words):
        pass
