"""Where evidence is logged, without a log: entries go into the database, and count at once."""

from typing import NoReturn

from firmware.protocol.custody import CustodyBody, parse_custody_leaf
from relay.custody.entries import CustodyEntries, Record
from relay.custody.errors import LogUnavailable
from relay.custody.log_entries import LogEntries, Pending
from relay.store import logs
from relay.store.database import Database


class RememberingRecord(Record):
    """Implements `Record`; a test may take the witnesses away."""

    def __init__(self) -> None:
        CustodyEntries.__init__(self, LogEntries())
        self.is_away = False
        self.waited_for: list[Pending] = []

    async def logged(self, pending: Pending) -> None:
        if self.is_away:
            raise LogUnavailable("the witnesses are away")
        self.waited_for.append(pending)

    async def never_logged(self) -> NoReturn:
        raise LogUnavailable("the witnesses are away")

    async def is_logged(self, pending: Pending) -> bool:  # noqa: ARG002
        return not self.is_away


async def recorded(database: Database) -> list[CustodyBody]:
    """Return what was added to the custody log."""
    async with database.read() as tx:
        return [parse_custody_leaf(entry).body for entry in await logs.added(tx, "custody", 0)]
