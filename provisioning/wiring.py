"""The wiring picture of the guide, drawn from hardware/pins.toml: `python -m provisioning.wiring`.

The 40-pin header from above, and beside each pin that is used what goes there. Writes
docs/images/wiring.svg; a test holds the file to the pins.
"""

import sys
from pathlib import Path
from xml.sax.saxutils import escape

from firmware.panel.pins import Pin, PinName, Pins, load_pins

OUT = Path(__file__).resolve().parents[1] / "docs" / "images" / "wiring.svg"
ROWS, ROW, TOP = 20, 23, 76
WIDTH, HEIGHT = 960, TOP + ROWS * ROW + 50
LEFT, RIGHT = WIDTH // 2 - 13, WIDTH // 2 + 13
GROUNDS = frozenset({6, 9, 14, 20, 25, 30, 34, 39})
SUPPLIES = {1: "3.3 V", 17: "3.3 V", 2: "5 V", 4: "5 V"}
PARTS: dict[PinName, str] = {
    "bell": "outer button; its other wire to ground",
    "service": "service button in the case; to ground",
    "presence": "PIR or radar, if fitted (3.3 V out)",
    "light": "gate of a MOSFET: the LED ring",
    "chime": "opto-coupler: the chime",
    "infrared": "gate of a MOSFET: infrared lamps, if fitted",
}
COLOURS = {"input": "#1f6feb", "output": "#b35900", "pwm": "#8250df"}
GROUND, SUPPLY, FREE = "#24292f", "#cf222e", "#d0d7de"


def wiring_svg(pins: Pins) -> str:
    """Return the picture."""
    wired = {
        pin.header: pin
        for pin in (pins.bell, pins.service, pins.presence, pins.light, pins.chime, pins.infrared)
    }
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
            f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="13">'
        ),
        "<title>Which part goes to which pin of the 40-pin header</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        _text(WIDTH // 2, 24, "The 40-pin header, seen from above", "middle", weight="bold"),
        _text(WIDTH // 2, 44, "pin 1 is at the end with the memory card", "middle", "#57606a"),
        (
            f'<rect x="{LEFT - 14}" y="{TOP - 14}" width="54" height="{ROWS * ROW + 5}" rx="6" '
            'fill="#f6f8fa" stroke="#57606a"/>'
        ),
    ]
    for header in range(1, 2 * ROWS + 1):
        parts += _pin(header, wired.get(header))
    below = TOP + ROWS * ROW + 16
    parts += [
        _text(
            WIDTH // 2, below, "The camera goes to the CAMERA plug by its ribbon cable.", "middle"
        ),
        _text(
            WIDTH // 2,
            below + 20,
            "Never drive a lamp, a ring or a chime from a pin itself. Not tried on a Pi.",
            "middle",
            "#57606a",
        ),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _pin(header: int, pin: Pin | None) -> list[str]:
    is_left = header % 2 == 1
    x, y = (LEFT if is_left else RIGHT), TOP + (header - 1) // 2 * ROW
    colour, words = FREE, ""
    if header in GROUNDS:
        colour, words = GROUND, "ground"
    elif header in SUPPLIES:
        colour, words = SUPPLY, SUPPLIES[header]
    elif pin is not None:
        colour = COLOURS[pin.kind]
        words = f"{pin.name} (BCM {pin.bcm}): {PARTS[pin.name]}"
    parts = [
        f'<circle cx="{x}" cy="{y}" r="7" fill="{colour}"/>',
        _text(x + (-26 if is_left else 26), y + 4, str(header), "middle", "#57606a"),
    ]
    if not words:
        return parts
    end = x + (-52 if is_left else 52)
    if pin is not None:
        inner = x + (-36 if is_left else 36)
        parts.append(
            f'<line x1="{inner}" y1="{y}" x2="{end}" y2="{y}" stroke="{colour}" stroke-width="2"/>'
        )
    side = "end" if is_left else "start"
    shade = colour if pin is not None else "#57606a"
    parts.append(_text(end + (-6 if is_left else 6), y + 4, words, side, shade))
    return parts


def _text(
    x: int, y: int, words: str, anchor: str, colour: str = "#24292f", *, weight: str = "normal"
) -> str:
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}" font-weight="{weight}">'
        f"{escape(words)}</text>"
    )


def main() -> int:
    """Write the picture."""
    OUT.write_text(wiring_svg(load_pins()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
