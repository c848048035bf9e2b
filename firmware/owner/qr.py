"""QR codes on a terminal. The only importer of segno, and only when a code is drawn."""

import sys
from itertools import zip_longest

QUIET_ZONE = 4
"""ISO/IEC 18004: light modules around the code."""


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


def _cell(upper: int, lower: int) -> str:
    return " ▄▀█"[2 * bool(upper) + bool(lower)]
