"""Administrators' access to people's accounts: each access is recorded before data is shown.

There is no other way from the administrators' pages to an account: whoever is returned here has a
row in the log of reads, in the same transaction. Owners and officers read theirs.
"""

from collections.abc import Collection
from dataclasses import dataclass

from firmware.protocol.encoding import new_id
from relay.base.clock import Clock
from relay.errors import RelayError
from relay.store import people, reads
from relay.store.database import Database, Transaction
from relay.store.people import Account
from relay.store.reads import AccountFile, AdminRead, PersonFound, What

MAX_FOUND = 20
MIN_QUERY_CHARS = 3
MAX_QUERY_CHARS = 80
MAX_SHOWN = 200
MAX_FOUND_SHOWN = 50
"""What an owner or officer reads of their account: looks and changes, and searches beside them."""


class ReadRefused(RelayError):
    """An administrator's access or action is refused; the text says what they can do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPeople:
    """A search result: at most MAX_FOUND people, and whether there are more."""

    people: list[PersonFound]
    has_more: bool


class Reads:
    """Shows accounts to administrators, and their accesses to the people concerned."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def search(self, admin: Account, query: str) -> FoundPeople:
        """Return owners and officers by id, or by a part of their name or e-mail address."""
        query = query.strip()
        if not MIN_QUERY_CHARS <= len(query) <= MAX_QUERY_CHARS:
            raise ReadRefused(f"search for {MIN_QUERY_CHARS} to {MAX_QUERY_CHARS} characters")
        async with self._database.begin() as tx:
            found = await reads.search_people(tx, query, limit=MAX_FOUND + 1)
            shown = found[:MAX_FOUND]
            for one in shown:
                await self._write_down(tx, admin, one.id, "found")
        return FoundPeople(people=shown, has_more=len(found) > MAX_FOUND)

    async def open_account(self, admin: Account, account_id: str) -> AccountFile | None:
        """Return all that the relay knows of an owner or officer; None if there is none."""
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            if not await self._is_known(tx, account_id):
                return None
            await self._write_down(tx, admin, account_id, "account")
            return await reads.account_file(tx, account_id, now_ms)

    async def suspend(self, admin: Account, account_id: str) -> bool:
        """Suspend an owner or officer and end their sessions; False if there is none."""
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            if not await self._is_known(tx, account_id):
                return False
            await reads.suspend_account(tx, account_id, now_ms)
            await self._write_down(tx, admin, account_id, "suspended")
        return True

    async def restore(self, admin: Account, account_id: str) -> bool:
        """Lift an owner's or officer's suspension; False if there is none."""
        async with self._database.begin() as tx:
            if not await self._is_known(tx, account_id):
                return False
            await reads.restore_account(tx, account_id)
            await self._write_down(tx, admin, account_id, "restored")
        return True

    async def open_request(
        self, admin: Account, officer_ids: Collection[str], *, case_number: str
    ) -> None:
        """Record for each of its officers that an unpublished request is opened."""
        async with self._database.begin() as tx:
            for officer_id in officer_ids:
                await self._write_down(tx, admin, officer_id, "request", about=case_number)

    async def of_account(self, account_id: str) -> list[AdminRead]:
        """Return administrators' newest accesses and actions on an account, for its person."""
        async with self._database.read() as tx:
            return await reads.list_reads(
                tx, account_id, limit=MAX_SHOWN, found_limit=MAX_FOUND_SHOWN
            )

    async def _is_known(self, tx: Transaction, account_id: str) -> bool:
        """Return whether the account exists and may be looked up: administrators' may not."""
        account = await people.find_account(tx, account_id)
        return account is not None and account.role in reads.SHOWN_ROLES

    async def _write_down(
        self,
        tx: Transaction,
        admin: Account,
        account_id: str,
        what: What,
        *,
        about: str | None = None,
    ) -> None:
        await reads.add_read(
            tx,
            new_id(),
            admin_id=admin.id,
            account_id=account_id,
            what=what,
            about=about,
            now_ms=self._clock.wall_ms(),
        )
