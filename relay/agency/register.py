"""The relay's replay of the register, and the only code that adds entries to it.

The log is the truth: what is in memory here is what its entries add up to, by the same code that
every doorbell runs. An entry that would be void is refused before it goes in, with the reason.
Entries count in the order in which they were added, placed in a checkpoint or not; since when
witnesses have seen one, `stamps` knows.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from firmware.protocol.register.entries import LeafBody
from firmware.protocol.register.facts import RegisterFacts, Stamps, facts_of
from firmware.protocol.register.replay import Register
from relay.agency.register_replay import RegisterReplay
from relay.base.clock import Clock
from relay.custody.log_entries import LogName
from relay.errors import RelayError
from relay.store.cache_file import CacheFile
from relay.store.database import Database, Transaction

LOG: LogName = "register"


class RegisterRefused(RelayError):
    """The entry would have no effect; the text says why."""


class RegisterEntries(Protocol):
    """The operations of the register's log that adding needs."""

    async def add(self, tx: Transaction, log: LogName, entry: bytes, *, key: str) -> object:
        """Add an entry with the caller's transaction; the same key again adds nothing."""
        ...

    async def added(self, tx: Transaction, log: LogName, since: int) -> Sequence[bytes]:
        """Return all entries from the `since`-th on, placed or not, in their order for ever."""
        ...


class RegisterLog(RegisterEntries, Protocol):
    """The operations of the register's log that reading needs besides."""

    async def stamps(self, tx: Transaction, log: LogName) -> Stamps:
        """Return the cosigned times: when witnesses had seen how many entries."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterView:
    """The register at one moment: its state, and which entries count by witnesses' time.

    Requests are in `register` only (relay/request/published_requests.py reads them): every page
    takes a view, and there are many.
    """

    register: Register
    stamps: Stamps
    facts: RegisterFacts
    now_ms: int


class RegisterService:
    """Replays the register's entries and adds new ones, without needing the witnesses."""

    def __init__(
        self,
        log: RegisterEntries,
        database: Database,
        *,
        origin: str,
        saved: CacheFile | None = None,
    ) -> None:
        """`saved` is where the replay's state is kept, so that a start needn't begin at nothing."""
        self.origin = origin
        self._log = log
        self._database = database
        self._replaying = RegisterReplay(origin, saved)
        self._one_at_a_time = asyncio.Lock()

    async def submit(self, body: LeafBody, *, key: str) -> None:
        """Add an entry by itself, or raise RegisterRefused."""
        async with self._database.begin() as tx:
            await self.add(tx, body, key=key)

    async def add(self, tx: Transaction, body: LeafBody, *, key: str) -> None:
        """Add an entry with a transaction, or raise RegisterRefused. One a transaction.

        Writers take turns, so what is refused here is what the entry would meet in its place, and
        what it counts before it is what there is. (A second one would be replayed from what may
        still be rolled back.)
        """
        register = await self.replayed(tx)
        entry = register.next_entry(body)
        why = register.would_refuse(entry)
        if why is not None:
            raise RegisterRefused(why)
        await self._log.add(tx, LOG, entry, key=key)

    async def check(self, body: LeafBody) -> None:
        """Raise RegisterRefused if the entry would have no effect now; add nothing."""
        async with self._database.read() as tx:
            register = await self.replayed(tx)
        why = register.would_refuse(register.next_entry(body))
        if why is not None:
            raise RegisterRefused(why)

    async def widenings(self) -> int:
        """Return the number of widening changes so far: the next one names it."""
        async with self._database.read() as tx:
            return (await self.replayed(tx)).widenings

    async def replayed(self, tx: Transaction) -> Register:
        """Return the register after all that was added so far."""
        async with self._one_at_a_time:
            since = self._replaying.register.size
            await self._replaying.take(await self._log.added(tx, LOG, since))
            return self._replaying.register


class RelayRegister(RegisterService):
    """A RegisterService that also reads the witnesses' times."""

    def __init__(
        self,
        log: RegisterLog,
        database: Database,
        clock: Clock,
        *,
        origin: str,
        saved: CacheFile | None = None,
    ) -> None:
        super().__init__(log, database, origin=origin, saved=saved)
        self._stamped = log
        self._clock = clock

    async def view(self) -> RegisterView:
        """Return the register's view of now."""
        async with self._database.read() as tx:
            register = await self.replayed(tx)
            stamps = await self._stamped.stamps(tx, LOG)
        now_ms = self._clock.wall_ms()
        facts = facts_of(register, stamps, fresh_ms=now_ms, requests_since_ms=None)
        return RegisterView(register=register, stamps=stamps, facts=facts, now_ms=now_ms)


class NoLog:
    """The register of a relay without a log: always empty, and every entry is refused."""

    async def add(
        self,
        tx: Transaction,  # noqa: ARG002 (as a log's)
        log: LogName,  # noqa: ARG002
        entry: bytes,  # noqa: ARG002
        *,
        key: str,  # noqa: ARG002
    ) -> None:
        """Refuse every entry."""
        raise RegisterRefused("this relay keeps no log: doorward-relay log init makes one")

    async def added(
        self,
        tx: Transaction,  # noqa: ARG002
        log: LogName,  # noqa: ARG002
        since: int,  # noqa: ARG002
    ) -> Sequence[bytes]:
        """Return no entries."""
        return []

    async def stamps(self, tx: Transaction, log: LogName) -> Stamps:  # noqa: ARG002
        """Return no cosigned times."""
        return Stamps()
