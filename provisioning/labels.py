"""Labels: a sheet of stickers with each doorbell's serial and its service link, as PDF or SVG.

A label names nothing that opens anything: no claim, no door number, no address. The link leads to a
page for whoever finds or services the doorbell.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

import segno

from provisioning.errors import WishRefused

MM = 72 / 25.4
"""Points in a millimetre."""
MAX_LABELS = 1000
MAX_LINK_CHARS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A sheet of stickers in millimetres: A4 with 3 × 8 labels of 70 × 36 as sold."""

    width: float = 210.0
    height: float = 297.0
    columns: int = 3
    rows: int = 8
    label_width: float = 70.0
    label_height: float = 36.0
    left: float = 0.0
    top: float = 4.5

    @property
    def count(self) -> int:
        """How many labels a sheet has."""
        return self.columns * self.rows

    def place(self, number: int) -> tuple[float, float]:
        """Return the left and top of a label on its sheet."""
        row, column = divmod(number % self.count, self.columns)
        return self.left + column * self.label_width, self.top + row * self.label_height


A4 = Sheet()
CODE_MM = 26.0
PAD_MM = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """One sticker."""

    serial: str
    link: str


def labels_of(serials: Sequence[str], service_link: str) -> list[Label]:
    """Return a label for each serial; `service_link` has `{serial}` where it belongs."""
    if not 0 < len(serials) <= MAX_LABELS:
        raise WishRefused(f"a sheet has 1 to {MAX_LABELS} labels, not {len(serials)}")
    if not service_link.startswith("https://") or len(service_link) > MAX_LINK_CHARS:
        raise WishRefused("the service link begins with https:// and has at most 200 characters")
    return [Label(serial=one, link=service_link.replace("{serial}", one)) for one in serials]


def svg_sheets(labels: Sequence[Label], sheet: Sheet = A4) -> list[bytes]:
    """Return one SVG a sheet, in millimetres."""
    sheets = []
    for first in range(0, len(labels), sheet.count):
        parts = [
            (
                f'<svg xmlns="http://www.w3.org/2000/svg" width="{sheet.width}mm" '
                f'height="{sheet.height}mm" viewBox="0 0 {sheet.width} {sheet.height}">'
            )
        ]
        for number, label in enumerate(labels[first : first + sheet.count]):
            left, top = sheet.place(number)
            parts += [
                f'<g transform="translate({left + PAD_MM} {top + PAD_MM})">',
                _code_path(label.link),
                (
                    f'<text x="{CODE_MM + 3}" y="8" font-family="sans-serif" font-size="4.5" '
                    f'font-weight="bold">{escape(label.serial)}</text>'
                ),
                (
                    f'<text x="{CODE_MM + 3}" y="14" font-family="sans-serif" font-size="2.6">'
                    "Doorward</text>"
                ),
                "</g>",
            ]
        sheets.append(("\n".join([*parts, "</svg>"]) + "\n").encode())
    return sheets


def pdf_sheets(labels: Sequence[Label], sheet: Sheet = A4) -> bytes:
    """Return one PDF with a page a sheet."""
    from reportlab.pdfgen.canvas import Canvas

    file = io.BytesIO()
    canvas = Canvas(file, pagesize=(sheet.width * MM, sheet.height * MM), invariant=1)
    canvas.setTitle("Doorward labels")
    for number, label in enumerate(labels):
        if number and number % sheet.count == 0:
            canvas.showPage()
        left, top = sheet.place(number)
        x, y = (left + PAD_MM) * MM, (sheet.height - top - PAD_MM) * MM
        modules = [list(row) for row in segno.make(label.link, error="m", micro=False).matrix]
        size = CODE_MM * MM / len(modules)
        for row, line in enumerate(modules):
            for column, is_dark in enumerate(line):
                if is_dark:
                    canvas.rect(
                        x + column * size, y - (row + 1) * size, size, size, stroke=0, fill=1
                    )
        canvas.setFont("Helvetica-Bold", 4.5 * MM)
        canvas.drawString(x + (CODE_MM + 3) * MM, y - 8 * MM, label.serial)
        canvas.setFont("Helvetica", 2.6 * MM)
        canvas.drawString(x + (CODE_MM + 3) * MM, y - 14 * MM, "Doorward")
    canvas.showPage()
    canvas.save()
    return file.getvalue()


def _code_path(link: str) -> str:
    """Return the QR code as one path of CODE_MM."""
    modules = [list(row) for row in segno.make(link, error="m", micro=False).matrix]
    steps = [
        f"M{column} {row}h1v1h-1z"
        for row, line in enumerate(modules)
        for column, is_dark in enumerate(line)
        if is_dark
    ]
    return f'<path transform="scale({CODE_MM / len(modules):.5f})" d="{"".join(steps)}"/>'
