"""Connections: some wait at control's socket, each for one request; when it has come, another waits in its place."""

import contextlib
import os
import socket
import threading
import time

from share_files.requests import Request

RETRY_SECONDS = 0.5


def serve_forever(settings):
    """`settings`: socket, root, idle, most, folders."""
    # New files get the mode that is said, and nothing is taken away from it.
    os.umask(0)
    idle, slots = threading.Semaphore(settings.idle), threading.Semaphore(settings.most)
    while True:
        slots.acquire()
        idle.acquire()
        threading.Thread(target=serve, args=(settings, idle, slots), daemon=True).start()


def serve(settings, idle, slots):
    connection, has_begun = None, False
    try:
        connection = connect(settings.socket)
        try:
            if connection is None:
                time.sleep(RETRY_SECONDS)
                return
            connection.settimeout(None)
            has_begun = connection.recv(1, socket.MSG_PEEK) != b""
            if not has_begun:
                time.sleep(RETRY_SECONDS)
        except OSError:
            return
        finally:
            idle.release()
        if has_begun:
            with contextlib.suppress(OSError):
                Request(connection, settings)
    finally:
        if connection is not None:
            connection.close()
        slots.release()


def connect(path):
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.connect(path)
        return connection
    except OSError:
        connection.close()
        return None
