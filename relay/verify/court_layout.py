"""Layout of the court pack's PDF: pages, headings, tables. The only importer of ReportLab.

Text comes from strangers. `Paragraph` reads XML, so everything is escaped; the built-in fonts know
Latin letters only, so any other character is written as its code point, which also shows letters
that only look alike. The same pack always gives the same bytes: no time, no chance.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from xml.sax.saxutils import escape

from reportlab.lib import colors
from reportlab.lib.enums import TA_CENTER
from reportlab.lib.pagesizes import LETTER
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfgen.canvas import Canvas
from reportlab.platypus import (
    CondPageBreak,
    Flowable,
    KeepTogether,
    LongTable,
    PageBreak,
    Paragraph,
    SimpleDocTemplate,
    Spacer,
    TableStyle,
)

INK = colors.HexColor("#1a1a1a")
GREY = colors.HexColor("#5a5a5a")
RULE = colors.HexColor("#c8c8c8")
SHADE = colors.HexColor("#f2f2f2")
MARGIN = 22 * mm
WIDTH = LETTER[0] - 2 * MARGIN - 12
"""ReportLab's frames keep 6 points on each side."""

_BODY = ParagraphStyle(
    "body", fontName="Helvetica", fontSize=9.5, leading=13.5, textColor=INK, spaceAfter=5
)
_SMALL = ParagraphStyle("small", parent=_BODY, fontSize=8.5, leading=11.5, spaceAfter=0)
_BOLD = ParagraphStyle("bold", parent=_SMALL, fontName="Helvetica-Bold")
_MONO = ParagraphStyle(
    "mono", parent=_SMALL, fontName="Courier", fontSize=7.5, leading=10, splitLongWords=1
)
_TITLE = ParagraphStyle(
    "title", parent=_BODY, fontName="Helvetica-Bold", fontSize=24, leading=29, spaceAfter=4
)
_SUBTITLE = ParagraphStyle("subtitle", parent=_BODY, fontSize=12, leading=16, textColor=GREY)
_HEADING = ParagraphStyle(
    "heading", parent=_BODY, fontName="Helvetica-Bold", fontSize=14, leading=18,
    spaceBefore=4, spaceAfter=7,
)  # fmt: skip
_SUBHEADING = ParagraphStyle(
    "subheading", parent=_BODY, fontName="Helvetica-Bold", fontSize=10.5, leading=14,
    spaceBefore=9, spaceAfter=4,
)  # fmt: skip
_BOX = ParagraphStyle(
    "box", parent=_BODY, fontName="Helvetica-Bold", fontSize=11, leading=15, alignment=TA_CENTER,
    borderColor=INK, borderWidth=1, borderPadding=8, spaceBefore=14, spaceAfter=16,
    leftIndent=8, rightIndent=8,
)  # fmt: skip


def shown(text: str) -> str:
    """Return text for the built-in fonts: characters that they lack become code points."""
    return "".join(char if _can_show(char) else f"[U+{ord(char):04X}]" for char in text)


def _can_show(char: str) -> bool:
    try:
        char.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return char.isprintable()


def _markup(text: str) -> str:
    lines = text.replace("\r\n", "\n").split("\n")
    return "<br/>".join(escape(shown(line)) for line in lines)


@dataclass(slots=True)
class Pack:
    """A PDF document, written from top to bottom."""

    title: str
    footer: str
    banner: str | None = None
    """What stands at the top of every page."""
    _story: list[Flowable] = field(default_factory=list)

    def cover(self, title: str, subtitle: str) -> None:
        """Begin with a title."""
        self._story += [Spacer(1, 26 * mm), Paragraph(_markup(title), _TITLE)]
        self._story += [Paragraph(_markup(subtitle), _SUBTITLE), Spacer(1, 6 * mm)]

    def page(self) -> None:
        """Start a new page."""
        self._story.append(PageBreak())

    def heading(self, text: str) -> None:
        """Start a section, which is also in the outline."""
        self._story.append(CondPageBreak(45 * mm))
        self._story.append(_Heading(_markup(text), _HEADING, outline=shown(text)))

    def subheading(self, text: str) -> None:
        """Start a subsection."""
        self._story += [CondPageBreak(30 * mm), Paragraph(_markup(text), _SUBHEADING)]

    def text(self, *paragraphs: str) -> None:
        """Write paragraphs."""
        self._story += [Paragraph(_markup(text), _BODY) for text in paragraphs]

    def code(self, *lines: str) -> None:
        """Write commands."""
        self._story += [Paragraph(_markup(line), _MONO) for line in lines]
        self._story.append(Spacer(1, 3 * mm))

    def box(self, text: str) -> None:
        """Write a highlighted box."""
        self._story.append(Paragraph(_markup(text), _BOX))

    def gap(self, millimetres: float) -> None:
        """Write vertical space."""
        self._story.append(Spacer(1, millimetres * mm))

    def pairs(self, rows: Sequence[tuple[str, str]], *, is_mono: bool = False) -> None:
        """Write labels with their values."""
        value = _MONO if is_mono else _SMALL
        cells = [[_cell(label, _BOLD), _cell(text, value)] for label, text in rows]
        self._table(cells, [34 * mm, WIDTH - 34 * mm], head=0)

    def table(
        self,
        head: Sequence[str],
        rows: Sequence[Sequence[str]],
        widths: Sequence[float],
        *,
        mono: frozenset[int] = frozenset(),
    ) -> None:
        """Write a table; `widths` are parts of the page's, `mono` the columns of digits."""
        cells = [[_cell(text, _BOLD) for text in head]]
        cells += [
            [_cell(text, _MONO if column in mono else _SMALL) for column, text in enumerate(row)]
            for row in rows
        ]
        self._table(cells, [WIDTH * width / sum(widths) for width in widths], head=1)

    def blanks(self, *labels: str) -> None:
        """Write blank lines to fill in by hand."""
        cells = [[_cell(label, _SMALL), _cell("", _SMALL)] for label in labels]
        table = LongTable(cells, [46 * mm, WIDTH - 46 * mm], rowHeights=[11 * mm] * len(cells))
        table.setStyle(
            TableStyle(
                [
                    ("VALIGN", (0, 0), (-1, -1), "BOTTOM"),
                    ("LINEBELOW", (1, 0), (1, -1), 0.6, INK),
                    ("LEFTPADDING", (0, 0), (-1, -1), 0),
                ]
            )
        )
        self._story.append(KeepTogether([table]))

    def bytes(self) -> bytes:
        """Return the PDF."""
        output = io.BytesIO()
        document = SimpleDocTemplate(
            output,
            pagesize=LETTER,
            leftMargin=MARGIN,
            rightMargin=MARGIN,
            topMargin=24 * mm,
            bottomMargin=22 * mm,
            title=shown(self.title),
            author="doorward-verify",
            lang="en",
            invariant=1,
        )
        document.build(list(self._story), canvasmaker=self._canvas)
        return output.getvalue()

    def _canvas(self, *args: object, **settings: object) -> Canvas:
        return _Numbered(*args, banner=self.banner, footer=self.footer, **settings)

    def _table(self, cells: list[list[Flowable]], widths: list[float], *, head: int) -> None:
        table = LongTable(cells, widths, repeatRows=head, splitInRow=1)
        style = [
            ("VALIGN", (0, 0), (-1, -1), "TOP"),
            ("LINEBELOW", (0, 0), (-1, -1), 0.4, RULE),
            ("TOPPADDING", (0, 0), (-1, -1), 3),
            ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
            ("LEFTPADDING", (0, 0), (-1, -1), 4),
            ("RIGHTPADDING", (0, 0), (-1, -1), 4),
        ]
        if head:
            style.append(("BACKGROUND", (0, 0), (-1, 0), SHADE))
        table.setStyle(TableStyle(style))
        self._story += [table, Spacer(1, 4 * mm)]


def _cell(text: str, style: ParagraphStyle) -> Flowable:
    return Paragraph(_markup(text), style)


class _Heading(Paragraph):  # type: ignore[misc] # ReportLab has no types
    """A heading that puts itself into the outline."""

    def __init__(self, text: str, style: ParagraphStyle, *, outline: str) -> None:
        super().__init__(text, style)
        self._outline = outline

    def draw(self) -> None:
        self.canv.bookmarkPage(self._outline)
        self.canv.addOutlineEntry(self._outline, self._outline, 0)
        super().draw()


class _Numbered(Canvas):  # type: ignore[misc] # ReportLab has no types
    """Writes banner, footer and "page n of m" once all pages are there."""

    def __init__(self, *args: object, banner: str | None, footer: str, **settings: object) -> None:
        super().__init__(*args, **settings)
        self._banner, self._footer = banner, footer
        self._pages: list[dict[str, object]] = []

    def showPage(self) -> None:  # noqa: N802 - ReportLab's name
        self._pages.append(dict(self.__dict__))
        self._startPage()

    def save(self) -> None:
        pages = list(self._pages)
        for number, page in enumerate(pages, start=1):
            self.__dict__.update(page)
            self._edge(number, len(pages))
            super().showPage()
        super().save()

    def _edge(self, number: int, count: int) -> None:
        self.setFillColor(GREY)
        self.setFont("Helvetica", 7.5)
        self.drawString(MARGIN, 12 * mm, shown(self._footer))
        self.drawRightString(LETTER[0] - MARGIN, 12 * mm, f"page {number} of {count}")
        if self._banner:
            self.setFillColor(INK)
            self.setFont("Helvetica-Bold", 9)
            self.drawCentredString(LETTER[0] / 2, LETTER[1] - 14 * mm, shown(self._banner))
