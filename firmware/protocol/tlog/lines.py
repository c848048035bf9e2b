"""The syntax that all C2SP text formats share: decimals, base64 and one hash a line.

Each has exactly one accepted spelling, so that no two texts say the same.
"""

import base64
import binascii
import re

from firmware.protocol.encoding import WireError
from firmware.protocol.tlog.merkle import HASH_BYTES, MAX_SIZE

_DECIMAL = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z")


def b64(data: bytes) -> str:
    """Encode base64 (RFC 4648 section 4)."""
    return base64.b64encode(data).decode()


def unb64(text: str) -> bytes:
    """Decode base64; raise WireError unless it is the one canonical text."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:  # ValueError: not ASCII
        raise WireError(f"not base64: {error}") from error
    if b64(data) != text:
        raise WireError("not base64 in canonical form")
    return data


def parse_size(text: str) -> int:
    """Parse a tree size or an index: ASCII decimal, no leading zero, at most 2^63 - 1."""
    if not _DECIMAL.match(text):
        raise WireError("a size or an index is a decimal number without leading zeroes")
    size = int(text)
    if size > MAX_SIZE:
        raise WireError(f"a size or an index is at most {MAX_SIZE}")
    return size


def parse_hash(text: str) -> bytes:
    """Parse the base64 of one hash."""
    digest = unb64(text)
    if len(digest) != HASH_BYTES:
        raise WireError(f"a hash has {HASH_BYTES} bytes, not {len(digest)}")
    return digest


def decode_text(data: bytes, *, what: str, max_bytes: int) -> str:
    """Decode UTF-8 that ends with a newline, or raise WireError naming `what`."""
    if len(data) > max_bytes:
        raise WireError(f"{what}: {len(data)} bytes, at most {max_bytes} are allowed")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise WireError(f"{what}: not UTF-8: {error}") from error
    if not text.endswith("\n"):
        raise WireError(f"{what}: the last line doesn't end with a newline")
    return text
