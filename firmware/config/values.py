"""Types of the doorbell's settings: constraints, their descriptions, and who decides a key.

Nothing here knows a key.
"""

import ipaddress
import re
from enum import Enum
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta

from firmware.protocol.settings_file import Parsed

MAX_POLYGONS = 8
MAX_CORNERS = 32
MAX_ICE_HOSTS = 8


class Whose(Enum):
    """The person who decides a key's value; each key's `Annotated` has this mark."""

    INSTALLER = "installer's"
    """It depends on the board, the wiring, the network or the town."""
    OWNER = "owner's"
    """It is a matter of taste or of consent, and can change from one day to the next."""


INSTALLER = Whose.INSTALLER
OWNER = Whose.OWNER


def whole(low: int, high: int) -> Meta:
    """Return the range of a whole number, both ends included."""
    return Meta(ge=low, le=high, description=f"a whole number from {low} to {high}")


def number(low: float, high: float, unit: str) -> Meta:
    """Return the range of a number, both ends included."""
    return Meta(ge=low, le=high, description=f"a number from {low} to {high} {unit}")


def _parse_text(value: object) -> str:
    if not isinstance(value, str) or "\x00" in value:
        raise TypeError(value)
    return value


def _parse_path(value: object) -> Path:
    text = _parse_text(value)
    if not text:
        raise ValueError(value)
    return Path(text)


def _parse_host(value: object) -> str:
    text = _parse_text(value)
    if re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", text) is None:
        ipaddress.ip_address(text)
    return text


def _parse_hosts(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_ICE_HOSTS:
        raise TypeError(value)
    return tuple(_parse_host(host) for host in value)


def _parse_origin(value: object) -> str:
    text = _parse_text(value)
    parts = urlsplit(text)
    is_bare = text == f"{parts.scheme}://{parts.netloc}" and "@" not in parts.netloc
    if parts.scheme not in ("http", "https") or not parts.hostname or not is_bare:
        raise ValueError(value)
    if parts.port == 0:
        raise ValueError(value)
    return text


def _parse_name(value: object) -> str:
    text = _parse_text(value)
    if not 0 < len(text) <= 40 or not text.isprintable():
        raise ValueError(value)
    return text


def _parse_names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or len(value) > MAX_POLYGONS:
        raise TypeError(value)
    return tuple(_parse_name(name) for name in value)


def text(expected: str) -> Parsed:
    """Return the mark of a text without a NUL, which may be empty."""
    return Parsed(_parse_text, expected)


def path(expected: str) -> Parsed:
    """Return the mark of a path."""
    return Parsed(_parse_path, expected)


def polygons(what: str) -> Meta:
    """Return the mark of `Polygons`, which are `what`."""
    words = (
        f"at most {MAX_POLYGONS} {what}, each a list of 3 to {MAX_CORNERS} corners [x, y] "
        "as fractions of the picture, 0 to 1 from the top left"
    )
    return Meta(max_length=MAX_POLYGONS, description=words)


_Fraction = Annotated[float, Meta(ge=0, le=1)]
_Corners = Meta(min_length=3, max_length=MAX_CORNERS)
Polygons = tuple[Annotated[tuple[tuple[_Fraction, _Fraction], ...], _Corners], ...]
Host = Annotated[str, Parsed(_parse_host, "an address or a host name")]
Hosts = Annotated[
    tuple[str, ...],
    Parsed(_parse_hosts, f"a list of at most {MAX_ICE_HOSTS} host names or IPv4 addresses"),
]
Origin = Annotated[str, Parsed(_parse_origin, "http(s)://host[:port] without a path")]
Names = Annotated[
    tuple[str, ...],
    Parsed(_parse_names, f"at most {MAX_POLYGONS} names of at most 40 characters, one a zone"),
]
Cell = Annotated[
    str,
    Meta(pattern=r"^(89[0-9a-f]{13})?\Z", description='an H3 index of resolution 9, or ""'),
]
PublicKey = Annotated[
    str,
    Meta(
        pattern=r"^([A-Za-z0-9_-]{43})?\Z",
        description='the public key that `doorward recovery` prints, or ""',
    ),
]
