"""Table of an agency's templates and saved areas for its request forms."""

from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Row, delete, select, update

from relay.store.database import Transaction
from relay.store.schema import request_presets
from relay.store.upserts import upsert

PresetKind = Literal["template", "area"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PresetRow:
    """One preset; `content` is JSON of relay.request.presets' class of its kind."""

    id: str
    agency: str
    kind: PresetKind
    name: str
    content: str
    saved_ms: int


async def add(tx: Transaction, row: PresetRow) -> bool:
    """Store a new preset; return whether its name was free."""
    query = (
        upsert(tx, request_presets)
        .values(
            id=row.id,
            agency=row.agency,
            kind=row.kind,
            name=row.name,
            content=row.content,
            saved_ms=row.saved_ms,
        )
        .on_conflict_do_nothing(index_elements=["agency", "kind", "name"])
        .returning(request_presets.c.id)
    )
    return (await tx.execute(query)).first() is not None


async def find(tx: Transaction, agency: str, preset_id: str) -> PresetRow | None:
    """Return one of an agency's presets."""
    query = select(request_presets).where(
        request_presets.c.id == preset_id, request_presets.c.agency == agency
    )
    row = (await tx.execute(query)).first()
    return None if row is None else _row(row)


async def list_of(tx: Transaction, agency: str) -> list[PresetRow]:
    """Return an agency's presets of both kinds, by name."""
    query = (
        select(request_presets)
        .where(request_presets.c.agency == agency)
        .order_by(request_presets.c.name)
    )
    return [_row(row) for row in await tx.execute(query)]


async def rename(tx: Transaction, preset_id: str, name: str) -> None:
    """Give a preset another name."""
    await tx.execute(
        update(request_presets).where(request_presets.c.id == preset_id).values(name=name)
    )


async def remove(tx: Transaction, agency: str, preset_id: str) -> bool:
    """Delete a preset if it is this agency's; return whether it was."""
    query = (
        delete(request_presets)
        .where(request_presets.c.id == preset_id, request_presets.c.agency == agency)
        .returning(request_presets.c.id)
    )
    return (await tx.execute(query)).first() is not None


def _row(row: Row[tuple[object, ...]]) -> PresetRow:
    return PresetRow(
        id=row.id,
        agency=row.agency,
        kind=row.kind,
        name=row.name,
        content=row.content,
        saved_ms=row.saved_ms,
    )
