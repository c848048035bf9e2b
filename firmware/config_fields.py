"""The kinds of field that the doorbell's settings are made of: a default, and what is right.

`setting` is the kind from which the others are made. Each field carries, as metadata for
firmware.config, the words for what is expected (`expected`) and the check (`is_right`), which is
asked about a value of the default's own type. Nothing here knows a key.
"""

import ipaddress
import re
from collections.abc import Callable
from dataclasses import field
from typing import Any
from urllib.parse import urlsplit

MAX_POLYGONS = 8
MAX_CORNERS = 32
MAX_ICE_HOSTS = 8

Check = Callable[[Any], bool]  # Any: a TOML value whose type was checked before


def setting(default: Any, expected: str, is_right: Check) -> Any:  # Any: as dataclasses.field
    return field(default=default, metadata={"expected": expected, "is_right": is_right})


def choice(*names: str) -> Any:  # Any: as dataclasses.field
    quoted = " or ".join(f'"{name}"' for name in names)
    return setting(names[0], quoted, lambda value: value in names)


def between(default: float, low: float, high: float, unit: str = "") -> Any:  # Any: as above
    kind = "a whole number" if isinstance(default, int) else "a number"
    expected = f"{kind} from {low} to {high}{' ' if unit else ''}{unit}"
    return setting(default, expected, lambda value: low <= value <= high)


def is_host(value: str) -> bool:
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?", value) is not None
    return True


def are_hosts(hosts: tuple[object, ...]) -> bool:
    return len(hosts) <= MAX_ICE_HOSTS and all(
        isinstance(host, str) and is_host(host) for host in hosts
    )


def is_origin(value: str) -> bool:
    try:
        parts = urlsplit(value)
        has_port = parts.port is None or parts.port > 0
    except ValueError:
        return False
    is_bare = value == f"{parts.scheme}://{parts.netloc}" and "@" not in parts.netloc
    return parts.scheme in ("http", "https") and bool(parts.hostname) and is_bare and has_port


def is_cell(value: str) -> bool:
    return value == "" or re.fullmatch("89[0-9a-f]{13}", value) is not None


def is_path(value: str) -> bool:
    return "\x00" not in value


def is_public_key(value: str) -> bool:
    return value == "" or re.fullmatch("[A-Za-z0-9_-]{43}", value) is not None


def are_names(names: tuple[object, ...]) -> bool:
    return len(names) <= MAX_POLYGONS and all(
        isinstance(name, str) and 0 < len(name) <= 40 and name.isprintable() for name in names
    )


def polygons(what: str) -> Any:  # Any: as dataclasses.field
    expected = (
        f"at most {MAX_POLYGONS} {what}, each a list of 3 to {MAX_CORNERS} corners [x, y] "
        "as fractions of the picture, 0 to 1 from the top left"
    )
    return field(default=(), metadata={"expected": expected, "is_right": _are_polygons})


def _are_polygons(value: tuple[Any, ...]) -> bool:  # Any: what TOML held
    return len(value) <= MAX_POLYGONS and all(
        isinstance(polygon, tuple)
        and 3 <= len(polygon) <= MAX_CORNERS
        and all(_is_corner(corner) for corner in polygon)
        for polygon in value
    )


def _is_corner(corner: object) -> bool:
    return (
        isinstance(corner, tuple)
        and len(corner) == 2
        and all(type(part) in (int, float) and 0 <= part <= 1 for part in corner)
    )
