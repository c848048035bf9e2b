"""Long and short names of FAT32 entries.

A name that is 8.3 with each part in one case is a short entry alone, with the flags for lower case
that Windows NT began with and Linux and mtools keep; any other has long-name entries and an alias.
"""

import struct
from collections.abc import Collection

SHORT_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789$%'-_@~`!(){}^#&")
FORBIDDEN = frozenset('\\/:*?"<>|')
LOWER_BASE, LOWER_EXTENSION = 0x08, 0x10
LONG_ATTRIBUTE = 0x0F
LAST_LONG = 0x40
PER_ENTRY = 13
MAX_UNITS = 255
_LONG = struct.Struct("<B10sBBB12s2s4s")


def check_name(name: str) -> None:
    """Raise ValueError if a name can't be one on FAT."""
    if not name or name in (".", "..") or name != name.rstrip(". "):
        raise ValueError(f"{name!r} is no name on FAT: it is empty, or ends with a dot or a space")
    if any(character in FORBIDDEN or ord(character) < 32 for character in name):
        raise ValueError(f"{name!r} is no name on FAT: it has a character that isn't allowed")
    try:
        units = len(name.encode("utf-16-le")) // 2
    except UnicodeEncodeError as error:
        raise ValueError(f"{name!r} is no name on FAT: it isn't Unicode text") from error
    if units > MAX_UNITS:
        raise ValueError(f"a name of {units} characters is longer than FAT's {MAX_UNITS}")


def folded(name: str) -> str:
    """Return what two names have in common if FAT takes them for the same."""
    return name.upper()


def plain_short(name: str) -> tuple[bytes, int] | None:
    """Return the 11 bytes and the case flags of a name that needs no long entries."""
    base, dot, extension = name.partition(".")
    if not 1 <= len(base) <= 8 or len(extension) > 3 or bool(dot) != bool(extension):
        return None
    flags = 0
    for part, flag in ((base, LOWER_BASE), (extension, LOWER_EXTENSION)):
        if not frozenset(part.upper()) <= SHORT_CHARACTERS or not part.isascii():
            return None
        if part != part.upper():
            if part != part.lower():
                return None
            flags |= flag
    return _packed(base.upper(), extension.upper()), flags


def alias(name: str, taken: Collection[bytes]) -> bytes:
    """Return the 11 bytes of a free alias: letters, `~` and a number."""
    base, _, extension = name.rpartition(".") if "." in name.strip(".") else (name, "", "")
    clean, end = _cleaned(base) or "_", _cleaned(extension)[:3]
    for number in range(1, 1_000_000):
        tail = f"~{number}"
        candidate = _packed(clean[: 8 - len(tail)] + tail, end)
        if candidate not in taken:
            return candidate
    raise ValueError(f"there is no free short name for {name!r}")


def shown_short(packed: bytes, flags: int) -> str:
    """Return a short entry's name as it is shown."""
    raw = (b"\xe5" + packed[1:]) if packed[0] == 0x05 else packed
    base, extension = (part.decode("cp437").rstrip(" ") for part in (raw[:8], raw[8:]))
    base = base.lower() if flags & LOWER_BASE else base
    extension = extension.lower() if flags & LOWER_EXTENSION else extension
    return f"{base}.{extension}" if extension else base


def checksum(packed: bytes) -> int:
    """Return the checksum by which long-name entries belong to a short one."""
    total = 0
    for byte in packed:
        total = (((total & 1) << 7) + (total >> 1) + byte) & 0xFF
    return total


def long_entries(name: str, packed: bytes) -> list[bytes]:
    """Return a name's long entries in the order in which they lie before the short one."""
    data = name.encode("utf-16-le")
    count = -(-len(data) // (2 * PER_ENTRY))
    if len(data) % (2 * PER_ENTRY):
        data = (data + b"\x00\x00").ljust(count * 2 * PER_ENTRY, b"\xff")
    check = checksum(packed)
    entries = []
    for number in range(count, 0, -1):
        part = data[(number - 1) * 26 : number * 26]
        order = number | (LAST_LONG if number == count else 0)
        entries.append(
            _LONG.pack(order, part[:10], LONG_ATTRIBUTE, 0, check, part[10:22], b"\0\0", part[22:])
        )
    return entries


def long_name(entries: list[bytes], packed: bytes) -> str | None:
    """Return the name that long entries spell, in their order; None if they are no whole name."""
    check, units = checksum(packed), b""
    for place, entry in enumerate(entries):
        order, one, _, _, sum_, two, _, three = _LONG.unpack(entry)
        expected = len(entries) - place
        if sum_ != check or order != (expected | (0 if place else LAST_LONG)):
            return None
        units = one + two + three + units
    if not entries:
        return None
    try:
        return units.decode("utf-16-le").partition("\x00")[0]
    except UnicodeDecodeError:
        return None


def _cleaned(part: str) -> str:
    kept = (c if c in SHORT_CHARACTERS else "_" for c in part.upper() if c not in ". ")
    return "".join(kept)


def _packed(base: str, extension: str) -> bytes:
    return base.encode("ascii").ljust(8) + extension.encode("ascii").ljust(3)
