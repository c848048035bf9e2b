"""QR codes on a terminal. The only importer of segno, and only when a code is drawn."""

import shutil
import sys
from itertools import zip_longest
from pathlib import Path

from firmware.companion.owner.errors import OwnerError

QUIET_ZONE = 4
"""ISO/IEC 18004: light modules around the code."""
PICTURE_SCALE = 8


def is_drawable() -> bool:
    """Tell whether this terminal can show one, and the library is here."""
    if not sys.stdout.isatty() or sys.stdout.encoding.lower() != "utf-8":
        return False
    try:
        import segno  # noqa: F401
    except ImportError:
        return False
    return True


def draw_qr(text: str) -> str:
    """Return lines of half blocks that show dark modules on a light ground, whatever the colours.

    Each line sets black on white by itself, since many terminals are dark.
    """
    import segno

    rows = [list(row) for row in segno.make_qr(text).matrix_iter(border=QUIET_ZONE)]
    light = [0] * len(rows[0])
    return "\n".join(
        "\x1b[30;107m"
        + "".join(_cell(upper, lower) for upper, lower in zip(*pair, strict=True))
        + "\x1b[0m"
        for pair in zip_longest(rows[::2], rows[1::2], fillvalue=light)
    )


def check_room(text: str) -> None:
    """Raise OwnerError unless the window is large enough for the code of this text."""
    import segno

    columns, modules = segno.make_qr(text).symbol_size(border=QUIET_ZONE)
    lines, room = -(-modules // 2), shutil.get_terminal_size()
    if room.columns < columns or room.lines < lines:
        raise OwnerError(
            f"the code needs a window of {columns} columns and {lines} lines, and this one has "
            f"{room.columns} and {room.lines}: make it larger or the letters smaller, or give "
            "--qr FILE.png"
        )


def save_qr(text: str, path: Path) -> None:
    """Write a picture of a code, PNG or SVG by the file's name; OwnerError if it can't be."""
    if path.suffix.lower() not in (".png", ".svg"):
        raise OwnerError(f"{path} must end in .png or .svg")
    try:
        import segno

        segno.make_qr(text).save(str(path), border=QUIET_ZONE, scale=PICTURE_SCALE)
    except ImportError as error:
        raise OwnerError("pictures need `segno`: pip install 'doorward[approve]'") from error
    except OSError as error:
        raise OwnerError(f"{path} can't be written: {error.strerror}") from error


def _cell(upper: int, lower: int) -> str:
    return " ▄▀█"[2 * bool(upper) + bool(lower)]
