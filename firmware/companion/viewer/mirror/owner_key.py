"""The owner's key pair for copies: a private file, and a public text for the machine that mirrors.

The private key opens every copy, so it belongs on the owner's own computer and in a backup, never
on the machine that mirrors.
"""

import hashlib
import os
import stat
from pathlib import Path
from typing import Literal

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from firmware.companion.viewer.mirror.errors import CopyFolderError
from firmware.protocol.encoding import Document, ShortB64u, WireError, b64u, decode, unb64u
from firmware.protocol.sealing import X25519_BYTES, check_x25519
from firmware.system.durable_files import write_atomic

PUBLIC_PREFIX = "doorward-copies:"
CHECK_BYTES = 4
MAX_FILE_BYTES = 1024


class KeptOwnerKey(Document, frozen=True, kw_only=True):
    """The private file."""

    v: Literal[1] = 1
    domain: Literal["doorward/copy-key/v1"] = "doorward/copy-key/v1"
    private_key: ShortB64u


def make_owner_key(path: Path) -> bytes:
    """Make a key pair, write its private file and return the public key (raw X25519).

    CopyFolderError if there is such a file already, or it can't be written.
    """
    if path.exists():
        raise CopyFolderError(f"{path} is there already; it may be all that opens your copies")
    key = X25519PrivateKey.generate()
    kept = KeptOwnerKey(private_key=b64u(key.private_bytes_raw()))
    try:
        write_atomic(path, kept.encode() + b"\n")
    except OSError as error:
        raise CopyFolderError(f"{path} can't be written: {error.strerror}") from error
    return key.public_key().public_bytes_raw()


def read_owner_key(path: Path) -> bytes:
    """Return the private key (raw X25519), or raise CopyFolderError; others may not read it."""
    try:
        with path.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise CopyFolderError(f"{path} can't be read: {error.strerror}") from error
    if stat.S_IMODE(mode) & 0o077:
        raise CopyFolderError(f"others may read {path}, so it isn't secret: chmod 600 {path}")
    try:
        private = unb64u(decode(KeptOwnerKey, data, max_bytes=MAX_FILE_BYTES).private_key)
    except WireError as error:
        raise CopyFolderError(f"{path} isn't a key that `doorward-view key` made") from error
    if len(private) != X25519_BYTES:
        raise CopyFolderError(f"{path} is damaged: not a key of {X25519_BYTES} bytes")
    return private


def public_of(private: bytes) -> bytes:
    """Return the public key of a private one, both raw X25519."""
    return X25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw()


def public_text(public: bytes) -> str:
    """Return the public key as a text to copy, with a check against slips."""
    return PUBLIC_PREFIX + b64u(public + hashlib.sha256(public).digest()[:CHECK_BYTES])


def parse_public_text(text: str) -> bytes:
    """Return the public key of such a text, or raise WireError."""
    text = text.strip()
    if not text.startswith(PUBLIC_PREFIX):
        raise WireError(
            f"the owner's key begins with {PUBLIC_PREFIX}; `doorward-view key` shows it"
        )
    data = unb64u(text.removeprefix(PUBLIC_PREFIX))
    public, check = data[:X25519_BYTES], data[X25519_BYTES:]
    if hashlib.sha256(public).digest()[:CHECK_BYTES] != check:
        raise WireError("the owner's key was copied wrongly: copy its whole line")
    check_x25519(public)
    return public
