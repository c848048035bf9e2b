"""Districts of the town, from the operator's file: each a name and H3 cells of resolution 8.

JSON: {"districts": [{"id": "lake-morton", "name": "Lake Morton", "addresses": 2140,
"cells": ["88441a5ac7fffff"]}]}. A district has at least 1,000 addresses, so that who belongs to
one isn't found by it, and a cell is in one district only.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated

import msgspec

from firmware.protocol.encoding import LINE_PATTERN, Document, WireError, decode
from relay.errors import ConfigError
from relay.map.cells import DISTRICT_RESOLUTION, is_cell

MIN_ADDRESSES = 1000
MAX_DISTRICTS = 1000
MAX_CELLS = 20_000
"""Of one district: a cell of this resolution is about 0.7 km²."""
MAX_FILE_BYTES = 8 * 1024 * 1024
DISTRICT_ID_PATTERN = r"^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?\Z"
_Id = Annotated[str, msgspec.Meta(pattern=DISTRICT_ID_PATTERN)]
_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=80, pattern=LINE_PATTERN)]
_Cell = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{15}\Z")]


class District(Document, frozen=True, kw_only=True):
    """One district, as the file has it."""

    id: _Id
    name: _Name
    addresses: Annotated[int, msgspec.Meta(ge=0, le=100_000_000)]
    cells: Annotated[tuple[_Cell, ...], msgspec.Meta(min_length=1, max_length=MAX_CELLS)]


class DistrictsFile(Document, frozen=True, kw_only=True):
    """The operator's file."""

    districts: Annotated[tuple[District, ...], msgspec.Meta(max_length=MAX_DISTRICTS)]


class Districts:
    """The districts in the operator's file, by name; none without a file."""

    def __init__(self, districts: Iterable[District] = ()) -> None:
        self._by_id = {one.id: one for one in sorted(districts, key=lambda one: one.name)}
        self._by_cell = {cell: one for one in self._by_id.values() for cell in one.cells}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[District]:
        return iter(self._by_id.values())

    def find(self, district: str) -> District | None:
        """Return the district of this id."""
        return self._by_id.get(district)

    def at(self, cell: str) -> District | None:
        """Return the district that a cell of resolution 8 is in."""
        return self._by_cell.get(cell)


def load_districts(path: Path | None) -> Districts:
    """Read the file that `[map] districts` names, or raise ConfigError; no name, no districts."""
    if path is None:
        return Districts()
    expected = "a JSON file of districts, as docs/guide/operate.md describes it"
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1)
        found = decode(DistrictsFile, text, max_bytes=MAX_FILE_BYTES).districts
    except OSError as error:
        raise ConfigError("map.districts", str(path), f"{expected}: {error.strerror}") from error
    except WireError as error:
        raise ConfigError("map.districts", str(path), f"{expected}: {error}") from error
    fault = _fault_in(found)
    if fault:
        raise ConfigError("map.districts", str(path), fault)
    return Districts(found)


def _fault_in(districts: Iterable[District]) -> str:
    """Return what to change in the file, or nothing."""
    ids: set[str] = set()
    owners: dict[str, str] = {}
    for one in districts:
        if one.id in ids:
            return f"each id once: two districts are called {one.id}"
        ids.add(one.id)
        if one.addresses < MIN_ADDRESSES:
            return (
                f"at least {MIN_ADDRESSES} addresses a district: merge {one.id}, which has "
                f"{one.addresses}, with a neighbour"
            )
        for cell in one.cells:
            if not is_cell(cell, resolution=DISTRICT_RESOLUTION):
                return f"H3 cells of resolution {DISTRICT_RESOLUTION}: {cell} in {one.id} is none"
            other = owners.setdefault(cell, one.id)
            if other != one.id:
                return f"each cell in one district only: {cell} is in {other} and in {one.id}"
        if len(set(one.cells)) < len(one.cells):
            return f"each cell once: {one.id} names one twice"
    return ""
