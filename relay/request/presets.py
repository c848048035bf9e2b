"""Presets of an agency's request forms: templates of their words, and saved areas, by name.

A template has no field for a case number, a time or a person, and one whose text or name holds
any is refused: what is said of one case isn't to be repeated in another. An area lies within the
agency's jurisdiction when it is saved; what is handed in is checked as ever.
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec

from firmware.protocol.encoding import (
    LINE_PATTERN,
    SAID_PATTERN,
    Document,
    decode,
    new_id,
)
from firmware.protocol.requests import Cell, IncidentType
from relay.base.clock import Clock
from relay.errors import RelayError
from relay.store import presets
from relay.store.database import Database, Transaction
from relay.store.presets import PresetKind, PresetRow

MAX_PRESETS = 50
"""Of each kind, in an agency."""
MAX_NAME_CHARS = 60
PresetName = Annotated[
    str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARS, pattern=LINE_PATTERN)
]
PresetReason = Literal["not_found", "full", "taken", "case", "time", "person", "outside", "unsure"]
_CASE = re.compile(r"(?<![\w/-])(?=[\w/-]*\d\d)[A-Za-z0-9]+(?:[/-][A-Za-z0-9]+)+(?![\w/-])")
"""Letters and digits joined by `/` or `-`, with two digits in a row: K-2026/17, 2026-11-30."""
_TIME = re.compile(r"(?<!\d)(?:[01]?\d|2[0-3])[:.][0-5]\d(?!\d)")
_MIN_NAME_CHARS = 3
"""Shorter parts of names are words of their own too often."""


class PresetRefused(RelayError):
    """A preset doesn't exist, or can't be kept; `reason` says why."""

    def __init__(self, reason: PresetReason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Final = reason


class RequestTemplate(Document, frozen=True, kw_only=True, tag_field="kind", tag="template"):
    """The words and promises of a request; "" or None where none is chosen yet."""

    text: Annotated[str, msgspec.Meta(min_length=1, max_length=2000, pattern=SAID_PATTERN)]
    incident_type: IncidentType | Literal[""] = ""
    retention_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] | None = None
    onward_sharing: Literal["none", "prosecutor"] = "none"


class SavedArea(Document, frozen=True, kw_only=True, tag_field="kind", tag="area"):
    """The map cells of an area."""

    cells: Annotated[list[Cell], msgspec.Meta(min_length=1, max_length=200)]


PresetContent = RequestTemplate | SavedArea


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One of an agency's presets."""

    id: str
    name: str
    content: PresetContent


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetList:
    """An agency's presets of both kinds, by name."""

    templates: list[Preset]
    areas: list[Preset]


class Presets:
    """Saves, lists, renames and removes presets."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def save(
        self,
        agency: str,
        name: str,
        content: PresetContent,
        *,
        officers: Iterable[str],
        jurisdiction: Collection[str],
    ) -> str:
        """Keep a new preset and return its id, or raise PresetRefused.

        `officers` are the names of the agency's officers, which no template says.
        """
        kind: PresetKind = "area" if isinstance(content, SavedArea) else "template"
        check_preset(name, content, officers=officers, jurisdiction=jurisdiction)
        row = PresetRow(
            id=new_id(),
            agency=agency,
            kind=kind,
            name=name,
            content=content.encode().decode(),
            saved_ms=self._clock.wall_ms(),
        )
        async with self._database.begin() as tx:
            kept = [one for one in await presets.list_of(tx, agency) if one.kind == kind]
            if len(kept) >= MAX_PRESETS:
                words = f"your agency keeps {MAX_PRESETS} of these already: remove one first"
                raise PresetRefused("full", words)
            if not await presets.add(tx, row):
                raise _taken()
        return row.id

    async def find(self, agency: str, preset_id: str) -> Preset:
        """Return one of an agency's presets, or raise PresetRefused."""
        async with self._database.read() as tx:
            return _preset(await _require(tx, agency, preset_id))

    async def list(self, agency: str) -> PresetList:
        """Return an agency's presets."""
        async with self._database.read() as tx:
            rows = await presets.list_of(tx, agency)
        return PresetList(
            templates=[_preset(row) for row in rows if row.kind == "template"],
            areas=[_preset(row) for row in rows if row.kind == "area"],
        )

    async def rename(
        self, agency: str, preset_id: str, name: str, *, officers: Iterable[str]
    ) -> None:
        """Give one of an agency's presets another name, or raise PresetRefused."""
        _check_words(name, officers)
        async with self._database.begin() as tx:
            row = await _require(tx, agency, preset_id)
            if row.name == name:
                return
            rows = await presets.list_of(tx, agency)
            _require_free([one for one in rows if one.kind == row.kind], name)
            await presets.rename(tx, preset_id, name)

    async def remove(self, agency: str, preset_id: str) -> None:
        """Delete one of an agency's presets, or raise PresetRefused."""
        async with self._database.begin() as tx:
            if not await presets.remove(tx, agency, preset_id):
                raise _no_such_preset()


def check_preset(
    name: str, content: PresetContent, *, officers: Iterable[str], jurisdiction: Collection[str]
) -> None:
    """Raise PresetRefused if a preset says what belongs to one case, or lies elsewhere."""
    if isinstance(content, SavedArea):
        if not set(content.cells) <= set(jurisdiction):
            raise PresetRefused("outside", "a cell lies outside your jurisdiction")
        _check_words(name, officers)
    else:
        _check_words(f"{name}\n{content.text}", officers)


def _check_words(text: str, officers: Iterable[str]) -> None:
    if _TIME.search(text):
        raise PresetRefused("time", "it holds a time of day: leave it out")
    if _CASE.search(text):
        raise PresetRefused("case", "it holds a case number or a date: leave it out")
    words = set(re.findall(r"\w+", text))
    for officer in officers:
        family_name = officer.split()[-1]
        if len(family_name) >= _MIN_NAME_CHARS and family_name in words:
            raise PresetRefused("person", "it names an officer: leave the name out")


def _require_free(kept: list[PresetRow], name: str) -> None:
    if any(one.name == name for one in kept):
        raise _taken()


async def _require(tx: Transaction, agency: str, preset_id: str) -> PresetRow:
    row = await presets.find(tx, agency, preset_id)
    if row is None:
        raise _no_such_preset()
    return row


def _preset(row: PresetRow) -> Preset:
    kind: type[PresetContent] = SavedArea if row.kind == "area" else RequestTemplate
    return Preset(id=row.id, name=row.name, content=decode(kind, row.content.encode()))


def _taken() -> PresetRefused:
    return PresetRefused("taken", "your agency keeps another one of this name")


def _no_such_preset() -> PresetRefused:
    return PresetRefused("not_found", "no such template or area is your agency's")
