"""Pictures of a request's or a page's map cells, with the names of the nearest places.

Wherever a page names cells it shows these; a cell's own number says nothing to people, and folds
behind (the macro `area` of templates/parts.html).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from markupsafe import Markup

from relay.map.cell_svg import CellGroup, Name, draw_cells
from relay.map.cells import boundary_of, centre_of
from relay.map.places import Place, Places

NEAR_KM = 3.0
"""A place that is farther away doesn't tell where a cell is."""
MAX_NAMED = 3
MAX_DRAWN = 600
"""Cells in one small picture; of a larger area a part is drawn."""
_AROUND_DEGREES = 0.004
_CANDIDATES = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class AreaView:
    """Cells as a picture, and where they are in words."""

    picture: Markup
    """An inline <svg>; empty without cells."""
    names: tuple[str, ...]
    """The nearest places of the operator's list, each once, the first cells' first."""
    more: int
    """How many names were left out."""
    latitude: float
    longitude: float
    """The first cell's centre in degrees: where no name is near, that says where it is."""


class AreaPictures:
    """Draws areas with the operator's place names; keeps the last ones."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._draw = lru_cache(maxsize=256)(self._drawn)

    def of(self, cells: Sequence[str], label: str, place: Place | None = None) -> AreaView:
        """Return the picture of at least one cell; `label` says in words what it shows.

        The name of `place` is written before all others.
        """
        return self._draw(tuple(cells), label, place)

    def place_of(self, cell: str) -> str:
        """Return the name of the nearest place to a cell, or else its centre in degrees."""
        (near,) = self._places.nearest([centre_of(cell)], NEAR_KM)
        latitude, longitude = centre_of(cell)
        return f"{latitude:.4f}, {longitude:.4f}" if near is None else near.name

    def unique_names_of(self, cells: Sequence[str]) -> list[str]:
        """Return `place_of` each cell, with a number from the second of a name on."""
        seen: Counter[str] = Counter()
        names = []
        for cell in cells:
            name = self.place_of(cell)
            seen[name] += 1
            names.append(name if seen[name] == 1 else f"{name} ({seen[name]})")
        return names

    def _drawn(self, cells: tuple[str, ...], label: str, place: Place | None) -> AreaView:
        near = self._places.nearest([centre_of(cell) for cell in cells[:MAX_DRAWN]], NEAR_KM)
        names = list(dict.fromkeys(one.name for one in near if one is not None))
        group = CellGroup(look="chosen", cells=cells[:MAX_DRAWN])
        written = [
            *([] if place is None else [_name(place)]),
            *names_around(self._places, cells[:MAX_DRAWN]),
        ]
        svg = draw_cells([group], label=label, names=written)
        latitude, longitude = centre_of(cells[0])
        return AreaView(
            picture=Markup(svg),  # noqa: S704 (draw_cells escapes what it is given)
            names=tuple(names[:MAX_NAMED]),
            more=len(names[MAX_NAMED:]),
            latitude=latitude,
            longitude=longitude,
        )


def names_around(places: Places, cells: Sequence[str]) -> list[Name]:
    """Return the names in and beside cells, those of larger places first."""
    corners = [corner for cell in cells for corner in boundary_of(cell)]
    lats, lons = [lat for lat, _ in corners], [lon for _, lon in corners]
    found = places.around(
        min(lats) - _AROUND_DEGREES,
        min(lons) - _AROUND_DEGREES,
        max(lats) + _AROUND_DEGREES,
        max(lons) + _AROUND_DEGREES,
        most=_CANDIDATES,
    )
    return [_name(place) for place in found]


def _name(place: Place) -> Name:
    return Name(text=place.name, lat=place.lat, lon=place.lon)
