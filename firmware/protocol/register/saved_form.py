"""The file form of a program's saved replay: a private cache.

It is believed as the program itself is, so it is only ever read from the disk that this program
wrote it to, never from a relay. The SHA-256 finds damage, not a forger: who can write to that disk
isn't kept out by it, so a doorbell signs the whole (firmware/transparency/state_signature.py).
What doesn't
fit in any way is `SavedUnusable`: then the entries are replayed. Deleting it is always safe.

    tag ‖ digest of the code ‖ body (MessagePack) ‖ SHA-256 over all that
"""

import functools
import hashlib
import sys
from importlib import metadata
from pathlib import Path
from typing import TypeVar

import msgspec

import firmware.protocol
from firmware.protocol.encoding import WireError

MAX_SAVED_BYTES = 128 * 1024 * 1024
"""A doorbell's register takes 16 bytes a request for ever, and 3 KB for each that stands."""
_DIGEST_BYTES = hashlib.sha256().digest_size
_LIBRARIES = ("cryptography", "msgspec", "rfc8785")
"""What judges entries besides our own code."""

S = TypeVar("S", bound=msgspec.Struct)


class SavedUnusable(WireError):
    """A saved state can't be used; the text says why. Replay the entries."""


@functools.cache
def code_digest() -> bytes:
    """Return SHA-256 over all that decides what entries mean: another version replays anew.

    That is all of `firmware.protocol`: more than is needed, and nothing that is. Call it when the
    program starts: later, an update may have put other code on the disk than the one that runs.
    """
    digest = hashlib.sha256(sys.version.encode())
    for name in _LIBRARIES:
        digest.update(f"\0{name} {metadata.version(name)}".encode())
    folder = Path(firmware.protocol.__file__).parent
    for path in sorted(folder.rglob("*.py")):
        data = path.read_bytes()
        digest.update(f"\0{path.relative_to(folder)} {len(data)}\0".encode() + data)
    return digest.digest()


def frame(tag: bytes, body: msgspec.Struct, *, code: bytes) -> bytes:
    """Return the bytes to save, or raise SavedUnusable if they are too many."""
    return b"".join(frame_in_pieces(tag, body, code=code))


def frame_in_pieces(tag: bytes, body: msgspec.Struct, *, code: bytes) -> list[bytes]:
    """Return what `frame` does in pieces, so that it is in memory once."""
    pieces = [tag, code, msgspec.msgpack.encode(body)]
    size = sum(map(len, pieces))
    if size + _DIGEST_BYTES > MAX_SAVED_BYTES:
        raise SavedUnusable(f"it has {size} bytes, at most {MAX_SAVED_BYTES} are kept")
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return [*pieces, digest.digest()]


def unframe(tag: bytes, kind: type[S], data: bytes | memoryview, *, code: bytes | None) -> S:
    """Return the bytes saved under the tag by the same code, or raise SavedUnusable.

    Without `code` any counts that wrote this tag: entries that are gone can't be replayed.
    """
    if len(data) > MAX_SAVED_BYTES:
        raise SavedUnusable(f"it has {len(data)} bytes, at most {MAX_SAVED_BYTES} are read")
    view = memoryview(data)  # its parts are no copies
    text, digest = view[:-_DIGEST_BYTES], view[-_DIGEST_BYTES:]
    if hashlib.sha256(text).digest() != digest:
        raise SavedUnusable("it is damaged")
    if text[: len(tag)] != tag:
        raise SavedUnusable("it is something else")
    if code is not None and text[len(tag) : len(tag) + len(code)] != code:
        raise SavedUnusable("another version of the program wrote it")
    skipped = _DIGEST_BYTES if code is None else len(code)
    try:
        return msgspec.msgpack.decode(text[len(tag) + skipped :], type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise SavedUnusable(f"it can't be read: {error}") from error
