"""A searchable list of place names from the operator's file in GeoNames' format.

The format is https://download.geonames.org/export/dump/ (tab-separated, UTF-8, no header): column
2 is the name, 4 its other names, 5 and 6 latitude and longitude, 15 the population. Nobody outside
is asked what an officer looks for.
"""

import math
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from relay.errors import ConfigError

MAX_PLACES = 200_000
MAX_FOUND = 20
MIN_SEARCH_CHARS = 2
KM_A_DEGREE = 111.2
"""Along a meridian."""
_COLUMNS = 15
_TILE_DEGREES = 0.1
"""Places are found by squares of so many degrees: a point's nearest is near it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One named place."""

    name: str
    lat: float
    lon: float
    population: int
    keys: str
    """All its names as they are compared, each between two bars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """A place and its distance."""

    name: str
    km: float


class Places:
    """The places in the operator's file; empty without a file."""

    def __init__(self, places: Iterable[Place] = ()) -> None:
        self._places = sorted(places, key=lambda place: -place.population)
        self._tiles: defaultdict[tuple[int, int], list[Place]] = defaultdict(list)
        for place in self._places:
            self._tiles[_tile(place.lat), _tile(place.lon)].append(place)

    def __len__(self) -> int:
        return len(self._places)

    def search(self, text: str, is_inside: Callable[[Place], bool]) -> list[tuple[Place, bool]]:
        """Return the places whose name begins with a text, or else holds it, and whether each is
        inside: those that are come first, then the larger ones.
        """
        key = comparable(text)
        if len(key) < MIN_SEARCH_CHARS:
            return []
        begins = [place for place in self._places if f"|{key}" in place.keys]
        found = begins or [place for place in self._places if key in place.keys]
        told = [(place, is_inside(place)) for place in found]
        told.sort(key=lambda one: not one[1])  # stable: by population within both
        return told[:MAX_FOUND]

    def nearest(self, points: Sequence[tuple[float, float]], within_km: float) -> list[Near | None]:
        """Return the nearest place to each point (latitude, longitude), None if all are farther.

        As if the ground were flat, which it nearly is so close by.
        """
        return [self._nearest(lat, lon, within_km) for lat, lon in points]

    def around(
        self, south: float, west: float, north: float, east: float, *, most: int
    ) -> list[Place]:
        """Return the places in a box (degrees), the larger ones first."""
        inside = [
            place
            for place in self._in_tiles(south, west, north, east)
            if south <= place.lat <= north and west <= place.lon <= east
        ]
        return sorted(inside, key=lambda place: -place.population)[:most]

    def _nearest(self, lat: float, lon: float, within_km: float) -> Near | None:
        squeeze, reach = max(math.cos(math.radians(lat)), 0.01), within_km / KM_A_DEGREE
        wide = reach / squeeze
        near = self._in_tiles(lat - reach, lon - wide, lat + reach, lon + wide)
        found = min(
            ((math.hypot(place.lat - lat, (place.lon - lon) * squeeze), place) for place in near),
            key=lambda one: one[0],
            default=None,
        )
        if found is None or found[0] > reach:
            return None
        return Near(name=found[1].name, km=found[0] * KM_A_DEGREE)

    def _in_tiles(self, south: float, west: float, north: float, east: float) -> Iterator[Place]:
        rows = range(_tile(south), _tile(north) + 1)
        columns = range(_tile(west), _tile(east) + 1)
        if len(rows) * len(columns) > len(self._tiles):
            yield from self._places
            return
        for row in rows:
            for column in columns:
                yield from self._tiles.get((row, column), ())


def _tile(degrees: float) -> int:
    return math.floor(degrees / _TILE_DEGREES)


def load_places(path: Path | None) -> Places:
    """Read the file that `[map] places` names, or raise ConfigError; no name, no places."""
    if path is None:
        return Places()
    expected = "a file in GeoNames' format (tab-separated, UTF-8)"
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            places = [_parse(line) for line in file if line.strip()]
    except OSError as error:
        raise ConfigError("map.places", str(path), f"{expected}: {error.strerror}") from error
    except ValueError as error:
        raise ConfigError("map.places", str(path), f"{expected}: {error}") from error
    if len(places) > MAX_PLACES:
        shorter = f"at most {MAX_PLACES} places: leave out those far from your agencies"
        raise ConfigError("map.places", str(path), shorter)
    return Places(places)


def comparable(text: str) -> str:
    """Return a name as it is compared: small letters without accents, so that "malmo" finds."""
    if text.isascii():
        return text.strip().lower().replace("|", "")
    decomposed = unicodedata.normalize("NFKD", text.strip().casefold())
    return "".join(char for char in decomposed if not unicodedata.combining(char) and char != "|")


def _parse(line: str) -> Place:
    columns = line.rstrip("\r\n").split("\t")
    if len(columns) < _COLUMNS:
        raise ValueError(f"a line has {len(columns)} columns, not {_COLUMNS} or more")
    lat, lon = float(columns[4]), float(columns[5])
    if not (math.isfinite(lat) and math.isfinite(lon) and abs(lat) <= 90 and abs(lon) <= 180):
        raise ValueError(f"{lat}, {lon} isn't on Earth")
    name = "".join(char for char in columns[1] if char.isprintable())[:200]
    keys = [comparable(one) for one in (columns[1], *columns[3].split(",")) if one]
    return Place(
        name=name,
        lat=lat,
        lon=lon,
        population=int(columns[14] or 0),
        keys="".join(f"|{key}" for key in dict.fromkeys(keys)),
    )
