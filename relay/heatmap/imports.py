"""Imported layers of the theft map: an operator's file of open data, with a threshold of its own.

The file is CSV in UTF-8: a header of `cell,month` or `lat,lon,month`, with `count` behind it if a
line stands for several thefts. Coordinates are degrees in WGS 84, cells are H3 of resolution 8,
months as 2026-11. The whole file is checked before anything of it is stored.
"""

import csv
import io
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import Meta

from firmware.protocol.encoding import Document, Line, WallTimeMs
from relay.base.clock import Clock
from relay.base.months import Month, is_month, month_of
from relay.heatmap.errors import ImportRefused
from relay.heatmap.publication import Band, bands_of
from relay.map.cells import coarse_cell_at, is_coarse_cell
from relay.store import heatmap as store
from relay.store.database import Database
from relay.store.heatmap import ImportRow

T = TypeVar("T")
MAX_BYTES: Final = 32 * 1024 * 1024
MAX_COUNT: Final = 100_000
MAX_THRESHOLD: Final = 1000
MAX_FIELD_CHARS: Final = 40
HEADERS: Final = (("cell", "month"), ("lat", "lon", "month"))
_DEGREES = re.compile(r"-?[0-9]{1,12}(?:\.[0-9]{1,15})?")
_COUNT = re.compile(r"[0-9]{1,7}")
_FORMULA = re.compile(r"[=+@\uff1d\uff0b\uff0d\uff20]|-(?![0-9])")

Threshold = Annotated[int, Meta(ge=1, le=MAX_THRESHOLD)]
LayerId = Annotated[str, Meta(pattern=r"^[a-z0-9](-?[a-z0-9]){0,39}\Z")]


class ImportedLayer(Document, frozen=True, kw_only=True):
    """An imported layer as it is published; `least` is the operator's threshold."""

    v: Literal[1] = 1
    kind: Literal["doorward/theft-map-import"] = "doorward/theft-map-import"
    id: LayerId
    name: Line
    licence: Line
    least: Threshold
    first_month: Month
    last_month: Month
    imported_ms: WallTimeMs
    is_example: bool
    resolution: Literal[8] = 8
    bands: list[Band]


class Imports:
    """Stores imported layers, and deletes them."""

    def __init__(self, database: Database, clock: Clock, *, is_example: bool) -> None:
        self._database = database
        self._clock = clock
        self._is_example = is_example

    async def add(self, path: Path, *, name: str, licence: str, least: int) -> ImportedLayer:
        """Import a file as the layer of that name, in place of an earlier one. ImportRefused."""
        now_ms = self._clock.wall_ms()
        counts, months = read_counts(path, now=month_of(now_ms))
        layer = ImportedLayer(
            id=id_of(name),
            name=_checked("--name", Line, name, "one line of at most 200 signs"),
            licence=_checked("--licence", Line, licence, "one line of at most 200 signs"),
            least=_checked("--threshold", Threshold, least, f"from 1 to {MAX_THRESHOLD}"),
            first_month=min(months),
            last_month=max(months),
            imported_ms=now_ms,
            is_example=self._is_example,
            bands=bands_of(counts, least=least),
        )
        row = ImportRow(id=layer.id, body=layer.encode().decode(), imported_ms=now_ms)
        async with self._database.begin() as tx:
            await store.put_import(tx, row)
        return layer

    async def remove(self, layer_id: str) -> None:
        """Delete a layer, or raise ImportRefused if there is none of that id."""
        async with self._database.begin() as tx:
            if not await store.delete_import(tx, layer_id):
                raise ImportRefused(f"there is no imported layer {layer_id!r}")


def read_counts(path: Path, *, now: str) -> tuple[dict[str, int], set[str]]:
    """Return the thefts by cell and the months of a file, or raise ImportRefused; `now` is this
    month: a later one is wrong.
    """
    counts: dict[str, int] = {}
    months: set[str] = set()
    for cell, month, count in _rows(_text_of(path), now):
        counts[cell] = counts.get(cell, 0) + count
        months.add(month)
    if not counts:
        raise ImportRefused("the file has a header and no line")
    return counts, months


def id_of(name: str) -> str:
    """Return the id of a layer by its name, for addresses; raise ImportRefused if it has none."""
    found = "-".join(re.findall(r"[a-z0-9]+", name.lower()))[:40].rstrip("-")
    if not found:
        raise ImportRefused("--name: write at least one letter of a–z, or a digit")
    return found


def _text_of(path: Path) -> str:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            most = MAX_BYTES // (1024 * 1024)
            raise ImportRefused(f"{path} has {size} bytes; at most {most} MiB: split it by region")
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ImportRefused(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ImportRefused(f"{path} isn't text in UTF-8: save it as CSV in UTF-8") from error


def _rows(text: str, now: str) -> Iterator[tuple[str, str, int]]:
    """Yield cell, month and count of each line."""
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        names = tuple(next(reader, ()))
        wanted = next((one for one in HEADERS if names in (one, (*one, "count"))), None)
        if wanted is None:
            raise ImportRefused(
                "the header has to be cell,month or lat,lon,month (and may have ,count)", line=1
            )
        for fields in reader:
            line = reader.line_num
            if len(fields) != len(names):
                raise ImportRefused(
                    f"{len(names)} values are expected, not {len(fields)}", line=line
                )
            yield _row(dict(zip(names, fields, strict=True)), now, line)
    except csv.Error as error:
        raise ImportRefused(f"no CSV: {error}", line=reader.line_num) from error


def _row(values: Mapping[str, str], now: str, line: int) -> tuple[str, str, int]:
    for name, value in values.items():
        if len(value) > MAX_FIELD_CHARS:
            raise ImportRefused(f"{name} is longer than {MAX_FIELD_CHARS} signs", line=line)
        if _FORMULA.match(value.lstrip()):
            raise ImportRefused(f"{name} is a spreadsheet's formula: {value!r}", line=line)
    month = values["month"]
    if not is_month(month):
        raise ImportRefused(f"month is written as 2026-11, not {month!r}", line=line)
    if month > now:
        raise ImportRefused(f"month {month} lies in the future", line=line)
    return _cell_in(values, line), month, _count_in(values, line)


def _cell_in(values: Mapping[str, str], line: int) -> str:
    if "cell" in values:
        cell = values["cell"]
        if not is_coarse_cell(cell):
            raise ImportRefused(f"{cell!r} isn't an H3 cell of resolution 8", line=line)
        return cell
    lat, lon = _degrees("lat", values, 90, line), _degrees("lon", values, 180, line)
    return coarse_cell_at(lat, lon)


def _degrees(name: str, values: Mapping[str, str], most: int, line: int) -> float:
    value = values[name]
    if not _DEGREES.fullmatch(value):
        raise ImportRefused(f"{name} is written as 59.3293, not {value!r}", line=line)
    degrees = float(value)
    if abs(degrees) > most:
        raise ImportRefused(
            f"{name} {value} is beyond ±{most}°: the file has another coordinate system; convert "
            "it to WGS 84 (EPSG:4326) first",
            line=line,
        )
    return degrees


def _count_in(values: Mapping[str, str], line: int) -> int:
    value = values.get("count", "1")
    if not _COUNT.fullmatch(value) or not 1 <= int(value) <= MAX_COUNT:
        raise ImportRefused(f"count is a number from 1 to {MAX_COUNT}, not {value!r}", line=line)
    return int(value)


def _checked(option: str, kind: Any, value: T, expected: str) -> T:  # Any: an annotated type
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ImportRefused(f"{option}: {expected}") from error
    return value
