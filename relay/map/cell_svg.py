"""Map cells drawn as SVG: groups of hexagons, names of places, and a scale. Pure.

Colours aren't here: each group is one path with a class, which the page's style sheet colours for
light and dark (`.cell-map` in relay/web/static/pages.css). North is up, and the picture is scaled
by its own parallel, as if the ground were flat.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from relay.map.cells import boundary_of, centre_of, unroll
from relay.map.places import KM_A_DEGREE

SIZE = 320
"""The longer side of a picture, in its own units: as many pixels as style sheets show it with."""
MARGIN = 8
AROUND_KM = 0.15
"""Shown around the cells, so that a name beside them has its place."""
MIN_CELL_UNITS = 5.0
"""A narrower hexagon is drawn as a dot, which can still be seen."""
MAX_NAMES = 5
_LETTER, _LINE = 6.2, 15.0
"""About the width of a letter and the height of a line of a name (11 units large)."""
_SCALES_M = (100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000, 200_000, 500_000)

Point = tuple[float, float]
"""Latitude and longitude in degrees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellGroup:
    """Cells that look alike; `look` is the CSS class of their path."""

    look: str
    cells: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A place's name, written where the place is; coordinates are in degrees."""

    text: str
    lat: float
    lon: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A projection of part of the earth onto a picture; sizes are in its units."""

    west: float
    north: float
    is_across: bool
    """It lies on both sides of the 180th meridian."""
    squeeze: float
    scale: float
    """Units a degree of latitude."""
    width: float
    height: float

    @classmethod
    def of(cls, points: Sequence[Point], *, size: float = SIZE, around_km: float = 0) -> "Sheet":
        """Return the sheet that shows all points, of which there is at least one."""
        longitudes = [lon for _, lon in points]
        unrolled = unroll(longitudes)
        more = around_km / KM_A_DEGREE
        south = min(lat for lat, _ in points) - more
        north = max(lat for lat, _ in points) + more
        squeeze = max(math.cos(math.radians((south + north) / 2)), 0.01)
        west, east = min(unrolled) - more / squeeze, max(unrolled) + more / squeeze
        longer = max((east - west) * squeeze, north - south, 1e-9)
        scale = (size - 2 * MARGIN) / longer
        return cls(
            west=west,
            north=north,
            is_across=unrolled != longitudes,
            squeeze=squeeze,
            scale=scale,
            width=(east - west) * squeeze * scale + 2 * MARGIN,
            height=(north - south) * scale + 2 * MARGIN,
        )

    def place(self, point: Point) -> tuple[float, float]:
        """Return where a point is: to the right, and down."""
        lat, lon = point
        right = (lon % 360 if self.is_across else lon) - self.west
        return right * self.squeeze * self.scale + MARGIN, (self.north - lat) * self.scale + MARGIN

    def units(self, metres: float) -> float:
        """Return how long so many metres are."""
        return metres / 1000 / KM_A_DEGREE * self.scale


def draw_cells(
    groups: Sequence[CellGroup],
    *,
    label: str,
    names: Iterable[Name] = (),
    size: float = SIZE,
    around_km: float = AROUND_KM,
) -> str:
    """Return groups of cells as an inline <svg>, later groups above earlier ones.

    `label` is read to those who don't see the picture. Of `names` the first that have room are
    written. Without cells the text is empty.
    """
    corners = [corner for group in groups for cell in group.cells for corner in boundary_of(cell)]
    if not corners:
        return ""
    sheet = Sheet.of(corners, size=size, around_km=around_km)
    shapes = "".join(_shape(sheet, group) for group in groups if group.cells)
    return (
        f'<svg class="cell-map" role="img" aria-label="{escape(label)}" '
        f'viewBox="0 0 {sheet.width:.0f} {sheet.height:.0f}" '
        f'width="{sheet.width:.0f}" height="{sheet.height:.0f}">'
        f"{shapes}{_names(sheet, names)}{_scale(sheet)}</svg>"
    )


def _shape(sheet: Sheet, group: CellGroup) -> str:
    outlines = [[sheet.place(corner) for corner in boundary_of(cell)] for cell in group.cells]
    narrowest = max(x for x, _ in outlines[0]) - min(x for x, _ in outlines[0])
    if narrowest < MIN_CELL_UNITS:
        centres = (sheet.place(centre_of(cell)) for cell in group.cells)
        dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in centres)
        return f'<path class="{escape(group.look)} dots" d="{dots}"/>'
    rings = "".join("M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in one) + "Z" for one in outlines)
    return f'<path class="{escape(group.look)}" d="{rings}"/>'


def _names(sheet: Sheet, names: Iterable[Name]) -> str:
    """Write the names that have room, each beside a dot at its place."""
    taken: list[tuple[float, float, float, float]] = [_scale_box(sheet)]
    written: list[str] = []
    for name in names:
        x, y = sheet.place((name.lat, name.lon))
        wide = len(name.text) * _LETTER + 6
        is_left = x + wide > sheet.width and x - wide > 0
        box = (
            x - wide if is_left else x - 3,
            y - _LINE / 2,
            x + 3 if is_left else x + wide,
            y + _LINE / 2,
        )
        is_inside = box[0] >= 0 and box[1] >= 0 and box[2] <= sheet.width and box[3] <= sheet.height
        if not is_inside or any(_touch(box, other) for other in taken):
            continue
        taken.append(box)
        end = ' text-anchor="end"' if is_left else ""
        text_x = x - 6 if is_left else x + 6
        written.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2"/>'
            f'<text x="{text_x:.1f}" y="{y + 4:.1f}"{end}>{escape(name.text)}</text>'
        )
        if len(written) == MAX_NAMES:
            break
    return f'<g class="names" aria-hidden="true">{"".join(written)}</g>' if written else ""


def _touch(
    one: tuple[float, float, float, float], other: tuple[float, float, float, float]
) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _scale_box(sheet: Sheet) -> tuple[float, float, float, float]:
    return (0, sheet.height - 2 * _LINE, sheet.width / 2, sheet.height)


def _scale(sheet: Sheet) -> str:
    """Draw a bar of a round length, at most a third of the picture's width."""
    fitting = [metres for metres in _SCALES_M if sheet.units(metres) <= sheet.width / 3]
    if not fitting:
        return ""
    metres = fitting[-1]
    text = f"{metres} m" if metres < 1000 else f"{metres // 1000} km"
    y, long = sheet.height - MARGIN, sheet.units(metres)
    return (
        f'<g class="scale" aria-hidden="true"><path d="M{MARGIN} {y - 4:.1f}v4h{long:.1f}v-4"/>'
        f'<text x="{MARGIN}" y="{y - 7:.1f}">{text}</text></g>'
    )
