"""Reader of both logs for the public record: each published entry once.

An entry that waits for its place (what an owner's doing causes waits for the end of its batch, R9)
isn't read before it has one that witnesses have signed. So no page tells earlier, or more, than the
logs' own files do.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from firmware.protocol.encoding import WireError
from relay.agency.register import RegisterView, RelayRegister
from relay.custody.log_entries import LogName
from relay.record.entry_parser import custody_row, register_row, void_row
from relay.record.projection import Projection
from relay.record.rows import EntryRow
from relay.request.moderation_times import QuarterOfModeration, moderation_times
from relay.store import logs
from relay.store import record as stamps
from relay.store.database import Database

CHUNK = 2000
"""Entries that are in memory at once while the log is read for the first time."""
PIECE = 50
"""After so many others have their turn."""
MINUTE_MS = 60 * 1000

TimeOf = Callable[[LogName, bytes], int]
"""Returns by when a quorum had signed a witnessed checkpoint of a log, or raises WireError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordView:
    """The public record at one moment."""

    register: RegisterView
    book: Projection
    register_size: int
    custody_size: int
    """How many entries of each log the world has seen."""

    @property
    def now_ms(self) -> int:
        """The view's time."""
        return self.register.now_ms

    @property
    def version(self) -> str:
        """The version of pages made from this view: changes with each entry and each minute."""
        minute = self.now_ms // MINUTE_MS
        sizes = (self.register.register.size, self.register_size, self.custody_size)
        return "-".join(str(number) for number in (*sizes, minute))


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownEntry:
    """One entry, in the log's own bytes."""

    log: LogName
    index: int
    text: str
    seen_ms: int | None
    tree_size: int
    """Of a tree with it whose files the world has; in custody the first one, so that it stays."""


class PublicRecord:
    """The source of pages' views."""

    def __init__(self, database: Database, register: RelayRegister, *, time_of: TimeOf) -> None:
        self._database = database
        self._register = register
        self._time_of = time_of
        self._book = Projection()
        self._register_size = 0
        self._custody_size = 0
        self._one_at_a_time = asyncio.Lock()

    async def view(self) -> RecordView:
        """Return the record's view of now."""
        view = await self._register.view()
        async with self._one_at_a_time:
            await self._read_register(view)
            await self._read_custody()
        return RecordView(
            register=view,
            book=self._book,
            register_size=self._register_size,
            custody_size=self._custody_size,
        )

    async def entry(self, log: LogName, index: int) -> ShownEntry | None:
        """Return one published entry."""
        view = await self.view()
        size = view.register_size if log == "register" else view.custody_size
        if not 0 <= index < size:
            return None
        async with self._database.read() as tx:
            if log == "register":
                found = await logs.find_by_number(tx, log, index + 1)  # as its places are given
                text = "" if found is None else found.entry
                seen_ms, tree_size = view.register.stamps.seen_ms(index), size
            else:
                (entry,) = await logs.entries(tx, log, index, index + 1)
                text = entry.decode()
                notes = await stamps.stamps_of(tx, log, index, index + 1)
                seen_ms = self._time_in(notes, index)
                tree_size = next((one for one, _ in notes if one > index), size)
        return ShownEntry(log=log, index=index, text=text, seen_ms=seen_ms, tree_size=tree_size)

    async def moderation(self) -> list[QuarterOfModeration]:
        """Return moderators' times: from their own decisions, the only figures not in a log."""
        async with self._database.read() as tx:
            return await moderation_times(tx)

    async def _read_register(self, view: RegisterView) -> None:
        since, size = self._register_size, view.stamps.size
        if since >= size:
            return
        async with self._database.read() as tx:
            entries = (await logs.added(tx, "register", since))[: size - since]
        voids = {void.index for void in view.register.voids}
        for index, entry in enumerate(entries, since):
            row = void_row(index) if index in voids else register_row(index, entry)
            self._book.take(replace(row, seen_ms=view.stamps.seen_ms(index)))
            self._register_size = index + 1
            await _give_turn(index)

    async def _read_custody(self) -> None:
        while True:
            since = self._custody_size
            async with self._database.read() as tx:
                head = await logs.get_head(tx, "custody")
                until = min(head.published_size, since + CHUNK)
                if since >= until:
                    return
                entries = await logs.entries(tx, "custody", since, until)
                notes = await stamps.stamps_of(tx, "custody", since, until)
            rows = await self._custody_rows(since, entries, notes)
            for row in rows:  # without a pause: cancelled in between, it would be read again
                self._book.take(row)
            self._custody_size = until

    async def _custody_rows(
        self, since: int, entries: Sequence[bytes], notes: Sequence[tuple[int, bytes]]
    ) -> list[EntryRow]:
        rows: list[EntryRow] = []
        for index, entry in enumerate(entries, since):
            row = custody_row(index, entry)
            if row is not None:
                rows.append(replace(row, seen_ms=self._time_in(notes, index)))
            await _give_turn(index)
        return rows

    def _time_in(self, notes: Sequence[tuple[int, bytes]], index: int) -> int | None:
        for size, note in notes:
            if size > index:
                try:
                    return self._time_of("custody", note)
                except WireError:
                    return None  # signed under a policy that is no longer ours
        return None


async def _give_turn(index: int) -> None:
    if index % PIECE == 0:
        await asyncio.sleep(0)
