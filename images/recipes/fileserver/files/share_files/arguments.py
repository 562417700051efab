"""What a request says, read and judged before anything is opened. Pure."""

import base64
import json
import os

from share_files.refusals import Refusal

LONGEST_ARGUMENTS = 60000


def arguments_of(text):
    """Of the header `Arguments`: an object of JSON in base64."""
    if len(text) > LONGEST_ARGUMENTS:
        raise Refusal("InvalidParameter", "A path or metadata is too long.")
    try:
        arguments = json.loads(base64.b64decode(text))
    except ValueError:
        raise Refusal("InvalidParameter", "The arguments cannot be read.") from None
    if not isinstance(arguments, dict):
        raise Refusal("InvalidParameter", "The arguments cannot be read.")
    return arguments


def natural(value):
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise Refusal("InvalidParameter", "A number is missing, or is none.")
    return value


def steps_of(path):
    if not isinstance(path, list):
        raise Refusal("InvalidParameter", "A path is a list of names.")
    steps = []
    for name in path:
        step = os.fsencode(name) if isinstance(name, str) else b""
        if step in (b"", b".", b"..") or b"/" in step or b"\0" in step or len(step) > 255:
            raise Refusal("InvalidParameter", "A name in the path is empty, too long, or one that no file may have.")
        steps.append(step)
    return steps
