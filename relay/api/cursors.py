"""Cursors: how far an app has read, of each doorbell by itself, as one short text.

    <doorbell>.<relay_seq in hexadecimal>~<doorbell>.<relay_seq> …

It is the `id` of a stream's events, which comes back as Last-Event-ID at any relay, and `next` of
notes. Who makes one up reads nothing more by it: it only says what not to tell again.
"""

import re
from collections.abc import Mapping

from firmware.protocol.encoding import DEVICE_ID_PATTERN

MAX_CURSORS = 200
"""Of an account with more doorbells there is none: its app reads anew."""
MAX_SEQ = 2**53
MAX_CURSOR_CHARS = MAX_CURSORS * (20 + 1 + 14 + 1)
_ONE = re.compile(rf"({DEVICE_ID_PATTERN[1:-1]})\.([0-9a-f]{{1,14}})")


def write_cursors(cursors: Mapping[str, int]) -> str:
    """Return the text; empty if there are too many, or none."""
    if len(cursors) > MAX_CURSORS:
        return ""
    return "~".join(f"{device}.{seq:x}" for device, seq in sorted(cursors.items()))


def read_cursors(text: str) -> dict[str, int] | None:
    """Return what a text says; None if it can't be read, or names a doorbell twice."""
    if not text or len(text) > MAX_CURSOR_CHARS:
        return None
    found: dict[str, int] = {}
    for part in text.split("~"):
        match = _ONE.fullmatch(part)
        if match is None or match[1] in found or int(match[2], 16) > MAX_SEQ:
            return None
        found[match[1]] = int(match[2], 16)
    return found
