"""QR codes, read in what the camera sees or drawn on a terminal. Only importer of zxing-cpp."""

from typing import Any

import zxingcpp

from firmware.capture.packets import LumaFrame

_QUIET_ZONE = 4
"""ISO/IEC 18004: light modules around the code."""
_QR_CODE = zxingcpp.BarcodeFormats(zxingcpp.BarcodeFormat.QRCode)


def read_texts(frame: LumaFrame) -> list[str]:
    """Return the texts of all QR codes in the frame (tens of milliseconds: not on the loop)."""
    if frame.width < 16 or frame.height < 16:
        return []
    size = frame.stride * frame.height
    plane = memoryview(frame.data)[:size].cast("B", shape=[frame.height, frame.stride])
    found = zxingcpp.read_barcodes(plane, formats=_QR_CODE)
    return [barcode.text for barcode in found if barcode.valid]


def draw_qr(text: str) -> str:
    """Return lines of half blocks that show dark modules on a light ground, whatever the colours.

    Each line sets black on white by itself, since many terminals are dark.
    """
    barcode = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode)
    image: Any = barcode.to_image(1, add_quiet_zones=False)  # Any: its stub hides the buffer
    rows: Any = memoryview(image).tolist()  # Any: two-dimensional, which the stub doesn't know
    side = len(rows) + 2 * _QUIET_ZONE
    light = [255] * side
    edge = [255] * _QUIET_ZONE
    framed = [light] * _QUIET_ZONE + [[*edge, *row, *edge] for row in rows] + [light] * _QUIET_ZONE
    if side % 2:
        framed.append(light)
    return "\n".join(
        "\x1b[30;107m"
        + "".join(_cell(*pair) for pair in zip(upper, lower, strict=True))
        + "\x1b[0m"
        for upper, lower in zip(framed[::2], framed[1::2], strict=True)
    )


def _cell(upper: int, lower: int) -> str:
    return " ▄▀█"[2 * (upper == 0) + (lower == 0)]
