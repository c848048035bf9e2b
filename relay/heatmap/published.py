"""The published theft map: editions and imported layers, byte for byte as they were stored."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from msgspec import json

from relay.heatmap.imports import ImportedLayer
from relay.heatmap.publication import Edition
from relay.store import heatmap as store
from relay.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedEdition:
    """An edition and its bytes, which are the same for everybody and never change."""

    edition: Edition
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedImport:
    """An imported layer and its bytes."""

    layer: ImportedLayer
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MapOverview:
    """What there is to show: the newest edition, the months of all, and the imported layers."""

    newest: PublishedEdition | None
    months: Sequence[str]
    imports: Sequence[PublishedImport]

    @property
    def version(self) -> str:
        """A text that changes whenever what is shown does."""
        bodies = [one.body for one in self.imports]
        if self.newest is not None:
            bodies.append(self.newest.body)
        return hashlib.sha256(b"\n".join(bodies)).hexdigest()


class PublishedMap:
    """Reads what was published."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def overview(self) -> MapOverview:
        """Return what there is to show now."""
        async with self._database.read() as tx:
            body = await store.find_edition(tx)
            return MapOverview(
                newest=None if body is None else _edition(body),
                months=await store.edition_months(tx),
                imports=[_import(row.body) for row in await store.list_imports(tx)],
            )

    async def find(self, month: str | None = None) -> PublishedEdition | None:
        """Return the edition of a month, or the newest one."""
        async with self._database.read() as tx:
            body = await store.find_edition(tx, month)
        return None if body is None else _edition(body)

    async def find_import(self, layer_id: str) -> PublishedImport | None:
        """Return an imported layer."""
        async with self._database.read() as tx:
            rows = await store.list_imports(tx)
        return next((_import(row.body) for row in rows if row.id == layer_id), None)


def _edition(body: str) -> PublishedEdition:
    return PublishedEdition(edition=json.decode(body, type=Edition), body=body.encode())


def _import(body: str) -> PublishedImport:
    return PublishedImport(layer=json.decode(body, type=ImportedLayer), body=body.encode())
