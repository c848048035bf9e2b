"""Monthly partitions of the events on PostgreSQL, which go as a whole. SQLite has the one table.

`relay_seq` is the time of receipt: events_2026_12 has what was received in December 2026. What no
month's partition takes lies in events_other: what came before its month was made. Nothing is
refused for want of a partition. What counts for ever of a month that is gone lies in
events_kept_2026_11; once its year's December goes, of all the year in events_kept_2026_12.

A database from before has its events in events_before, a partition that ends with a month.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from relay.base.months import month_begin_ms, month_of, shifted
from relay.store.postgresql import WRITER_LOCK
from relay.store.schema import SEQ_BITS

OTHER: Final = "events_other"
BEFORE: Final = "events_before"
KEPT: Final = "events_kept_"
SINCE: Final = 13
"""The schema version that partitions what was one table."""
_LIKE_BEFORE: Final = (
    f"CREATE TABLE events (LIKE {BEFORE} INCLUDING DEFAULTS) PARTITION BY RANGE (relay_seq)",
    "ALTER TABLE events ADD PRIMARY KEY (device, relay_seq)",
    "CREATE INDEX events_by_seq ON events (device, seq, event_id)",
    "CREATE INDEX events_by_kind ON events (device, kind, seq)",
)
"""As version 13 had it: later steps, or `migrator.prepare`, add to it."""
LOCK_TIMEOUT_MS: Final = 1_000
"""All who ask for events wait behind whoever changes the partitions, and it waits for a backup."""
MONTHS_LOCK: Final = WRITER_LOCK + 2
"""One process at a time copies what a month leaves."""
_LASTING_THEN: Final = ("guest_gone", "guest_let", "owner_gone", "paired", "trouble")
"""What counted for ever in version 13: with other kinds events_before is read as a whole."""
_CHECK_VIOLATION: Final = "23514"
_BOUNDS: Final = re.compile(r"FOR VALUES FROM \((?:MINVALUE|'(\d+)')\) TO \('(\d+)'\)")
_KIND: Final = "SELECT relkind::text FROM pg_class WHERE oid = to_regclass('events')"
_PARTS: Final = """
SELECT made.relname AS name, pg_get_expr(made.relpartbound, made.oid) AS bounds
FROM pg_inherits JOIN pg_class AS made ON made.oid = inhrelid
WHERE inhparent = to_regclass('events')
"""


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class EventMonth:
    """One partition: its events' `relay_seq` is at least `begin_seq`, and below `end_seq`."""

    begin_seq: int
    end_seq: int
    name: str

    @property
    def is_kept(self) -> bool:
        """Whether it has what counts for ever of months that are gone, and nothing else."""
        return self.name.startswith(KEPT)

    @property
    def last_month(self) -> str:
        """The month with which it ends."""
        return month_of(self.end_seq - 1 >> SEQ_BITS)


def seq_of(time_ms: int) -> int:
    """Return the lowest `relay_seq` of what is received at a time."""
    return time_ms << SEQ_BITS


def partition(connection: Connection) -> None:
    """Make the table of events a partitioned one where it isn't yet, with all that is in it.

    The rows stay where they are. For a database that nobody else uses; on SQLite nothing is done.
    """
    if connection.dialect.name != "postgresql":
        return
    if connection.exec_driver_sql(_KIND).scalar_one() == "r":
        newest_seq = connection.exec_driver_sql("SELECT max(relay_seq) FROM events").scalar_one()
        connection.exec_driver_sql(f"ALTER TABLE events RENAME TO {BEFORE}")
        for name in ("events_by_seq", "events_by_kind"):
            renamed = name.replace("events", BEFORE, 1)
            connection.exec_driver_sql(f"ALTER INDEX {name} RENAME TO {renamed}")
        for statement in _LIKE_BEFORE:
            connection.exec_driver_sql(statement)
        if newest_seq is None:
            connection.exec_driver_sql(f"DROP TABLE {BEFORE}")
        else:
            end_ms = month_begin_ms(shifted(month_of(newest_seq >> SEQ_BITS), 1))
            connection.exec_driver_sql(
                f"ALTER TABLE events ATTACH PARTITION {BEFORE} "
                f"FOR VALUES FROM (MINVALUE) TO ({seq_of(end_ms)})"
            )
            connection.exec_driver_sql(_index_of_lasting(BEFORE, _LASTING_THEN))
    connection.exec_driver_sql(f"CREATE TABLE IF NOT EXISTS {OTHER} PARTITION OF events DEFAULT")


async def months(tx: AsyncConnection) -> list[EventMonth] | None:
    """Return the partitions but the default one, the oldest first; None: there are none here."""
    if tx.dialect.name != "postgresql":
        return None
    if (await tx.exec_driver_sql(_KIND)).scalar_one_or_none() != "p":
        return None
    found = []
    for row in await tx.exec_driver_sql(_PARTS):
        if match := _BOUNDS.fullmatch(row.bounds or ""):  # none: it was dropped just now
            begin_seq, end_seq = int(match[1] or 0), int(match[2])
            found.append(EventMonth(begin_seq=begin_seq, end_seq=end_seq, name=row.name))
    return sorted(found)


def named(month: str) -> EventMonth:
    """Return the partition of a month, such as 2026-12."""
    return EventMonth(
        begin_seq=seq_of(month_begin_ms(month)),
        end_seq=seq_of(month_begin_ms(shifted(month, 1))),
        name=f"events_{month.replace('-', '_')}",
    )


async def add(tx: AsyncConnection, month: EventMonth, *, lasting: Sequence[str]) -> None:
    """Make a month's partition, with what has come of it before; some kinds of events last."""
    await _wait_briefly(tx)
    taken = f"DELETE FROM {OTHER} WHERE {_is_within(month)} RETURNING *"  # noqa: S608 - numbers alone
    moved = f"INSERT INTO {month.name} SELECT * FROM taken"  # noqa: S608
    for statement in (
        f"LOCK TABLE {OTHER} IN ACCESS EXCLUSIVE MODE",
        f"CREATE TABLE {month.name} (LIKE events INCLUDING DEFAULTS)",
        f"WITH taken AS ({taken}) {moved}",
        _attach(month),
        _index_of_lasting(month.name, lasting),
    ):
        await tx.exec_driver_sql(statement)


async def drop(tx: AsyncConnection, month: EventMonth, *, but_kinds: Sequence[str]) -> None:
    """Put what lasts of a partition in its place; the last month of a year takes its year's along.

    It is copied beforehand, which may take minutes and holds up nobody: for a transaction without
    a turn among the writers. All wait only while it is compared with what was deleted or dated
    anew meanwhile, by an index of what lasts, and put into place.
    """
    if not await _only_one(tx) or month not in (found := await months(tx) or []):
        return  # another process is about it, or has done it
    gone = [month, *_kept_before(month, found)]
    kept = EventMonth(
        begin_seq=gone[-1].begin_seq,
        end_seq=month.end_seq,
        name=KEPT + month.last_month.replace("-", "_"),
    )
    await _copy(tx, gone, kept, but_kinds)
    await _wait_briefly(tx)
    await tx.exec_driver_sql("LOCK TABLE ONLY events IN ACCESS EXCLUSIVE MODE")
    await _copy_changed(tx, gone, kept, but_kinds)
    await _take_from_other(tx, kept, but_kinds)
    for one in gone:
        await tx.exec_driver_sql(f"DROP TABLE {one.name}")
    is_empty = f"SELECT NOT EXISTS (SELECT FROM {kept.name})"  # noqa: S608
    if (await tx.exec_driver_sql(is_empty)).scalar_one():
        await tx.exec_driver_sql(f"DROP TABLE {kept.name}")
    else:
        await tx.exec_driver_sql(_attach(kept))


def is_made_meanwhile(error: Exception) -> bool:
    """Return whether rows may fit in a second try: they waited for the making of their month.

    Where they were to go takes them no more then, and PostgreSQL doesn't look for another place.
    """
    return getattr(getattr(error, "orig", None), "sqlstate", None) == _CHECK_VIOLATION


async def _only_one(tx: AsyncConnection) -> bool:
    asked = await tx.exec_driver_sql(f"SELECT pg_try_advisory_xact_lock({MONTHS_LOCK})")
    return bool(asked.scalar_one())


def _kept_before(month: EventMonth, found: Sequence[EventMonth]) -> list[EventMonth]:
    """Return the kept parts of a year that ends with this month, the newest first."""
    parts: list[EventMonth] = []
    if not month.last_month.endswith("-12"):
        return parts
    for one in sorted(found, reverse=True):
        if one.begin_seq >= month.begin_seq:
            continue
        if not one.is_kept or one.last_month[:4] != month.last_month[:4]:
            break
        parts.append(one)
    return parts


async def _copy(
    tx: AsyncConnection, parts: Sequence[EventMonth], to: EventMonth, kinds: Sequence[str]
) -> None:
    like = f"LIKE events INCLUDING DEFAULTS INCLUDING INDEXES, CHECK ({_is_within(to)})"
    # With the events' indexes and their bounds as a check, it is attached without being read.
    await tx.exec_driver_sql(f"CREATE TABLE {to.name} ({like})")
    for one in parts:
        lasting = f"SELECT * FROM {one.name} WHERE {_is_of(kinds)}"  # noqa: S608 - our constants
        await tx.exec_driver_sql(f"INSERT INTO {to.name} {lasting} ORDER BY device, relay_seq")
    await tx.exec_driver_sql(_index_of_lasting(to.name, kinds))
    await tx.exec_driver_sql(f"ANALYZE {to.name}")


async def _copy_changed(
    tx: AsyncConnection, parts: Sequence[EventMonth], to: EventMonth, kinds: Sequence[str]
) -> None:
    """Make the copy exact; nothing but the corrected time of an event is ever changed."""
    columns = f"SELECT device, relay_seq, corrected_ms FROM {{}} WHERE {_is_of(kinds)}"  # noqa: S608
    old = " UNION ALL ".join(columns.format(one.name) for one in parts)
    changed = (
        f"SELECT device, relay_seq FROM ({old}) AS old "  # noqa: S608
        f"FULL JOIN ({columns.format(to.name)}) AS new USING (device, relay_seq) "
        "WHERE old.device IS NULL OR new.device IS NULL "
        "OR old.corrected_ms IS DISTINCT FROM new.corrected_ms"
    )
    for way in ("seqscan", "bitmapscan", "hashjoin"):  # two indexes side by side, no table
        await tx.exec_driver_sql(f"SET LOCAL enable_{way} = off")
    keys = [row._asdict() for row in await tx.exec_driver_sql(changed)]
    if not keys:
        return
    is_it = "device = :device AND relay_seq = :relay_seq"
    await tx.execute(text(f"DELETE FROM {to.name} WHERE {is_it}"), keys)  # noqa: S608
    for one in parts:
        again = f"SELECT * FROM {one.name} WHERE {is_it} AND {_is_of(kinds)}"  # noqa: S608
        await tx.execute(text(f"INSERT INTO {to.name} {again}"), keys)


async def _take_from_other(tx: AsyncConnection, to: EventMonth, kinds: Sequence[str]) -> None:
    """Move what lasts of the default partition that belongs to this one, and delete the rest.

    Of months that left nothing there is no table: what another shard had of them lies there.
    """
    taken = f"DELETE FROM {OTHER} WHERE {_is_within(to)} RETURNING *"  # noqa: S608 - numbers alone
    moved = f"INSERT INTO {to.name} SELECT * FROM taken WHERE {_is_of(kinds)}"  # noqa: S608
    await tx.exec_driver_sql(f"WITH taken AS ({taken}) {moved}")


def _is_within(month: EventMonth) -> str:
    since = f"relay_seq >= {month.begin_seq} AND " if month.begin_seq else ""
    return f"{since}relay_seq < {month.end_seq}"


def _is_of(kinds: Sequence[str]) -> str:
    named_kinds = ", ".join(f"'{kind}'" for kind in sorted(kinds))
    return f"kind IN ({named_kinds})"


def _index_of_lasting(name: str, kinds: Sequence[str]) -> str:
    return (
        f"CREATE INDEX {name}_lasting ON {name} (device, relay_seq) "
        f"INCLUDE (corrected_ms) WHERE {_is_of(kinds)}"
    )


def _attach(month: EventMonth) -> str:
    begin = month.begin_seq or "MINVALUE"
    return (
        f"ALTER TABLE events ATTACH PARTITION {month.name} "
        f"FOR VALUES FROM ({begin}) TO ({month.end_seq})"
    )


async def _wait_briefly(tx: AsyncConnection) -> None:
    await tx.exec_driver_sql(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}")
