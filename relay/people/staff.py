"""An agency's officers and their sessions, for the agency's own administrator.

An administrator shuts colleagues out and lets them in again, never themselves, and never against
the relay's operator; whom it is about reads it (relay/people/reads.py).
"""

from dataclasses import dataclass

from firmware.protocol.encoding import new_id
from firmware.protocol.passkeys import PasskeyKey
from relay.base.clock import Clock
from relay.errors import RelayError
from relay.people.ceremonies import passkey_of
from relay.people.invitations import invite_officer
from relay.store import people, reads, sessions
from relay.store.database import Database, Transaction
from relay.store.people import Account
from relay.store.reads import What


@dataclass(frozen=True, slots=True, kw_only=True)
class Colleague:
    """One officer; `seen_ms` is when one of their sessions was last seen."""

    account: Account
    has_passkey: bool
    session_count: int
    seen_ms: int | None


class StaffRefused(RelayError):
    """A suspension or its end is refused; `reason` is own, suspended or operator."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


class Staff:
    """Operations on one agency's officers; the caller has checked whose administrator asks."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def list_of(self, agency: str, *, limit: int, offset: int) -> list[Colleague]:
        """Return some of an agency's officers, by name."""
        now_ms = self._clock.wall_ms()
        found = []
        async with self._database.read() as tx:
            for account in await people.list_staff(tx, agency, limit=limit, offset=offset):
                standing = await sessions.list_of(tx, account.id, now_ms)
                colleague = Colleague(
                    account=account,
                    has_passkey=bool(await people.list_credentials(tx, account.id)),
                    session_count=len(standing),
                    seen_ms=standing[0].seen_ms if standing else None,
                )
                found.append(colleague)
        return found

    async def find(self, agency: str, account_id: str) -> Account | None:
        """Return one officer if they are of this agency."""
        async with self._database.read() as tx:
            account = await people.find_account(tx, account_id)
        is_theirs = account is not None and (account.role, account.agency) == ("officer", agency)
        return account if is_theirs else None

    async def has_passkey(self, account: Account) -> bool:
        """Return whether an account has a passkey: one that came by OpenID Connect may not."""
        async with self._database.read() as tx:
            return bool(await people.list_credentials(tx, account.id))

    async def find_passkey(self, account: Account) -> PasskeyKey | None:
        """Return an account's passkey as its agency certifies it."""
        async with self._database.read() as tx:
            known = await people.list_credentials(tx, account.id)
        return passkey_of(known[0]) if known else None

    async def suspend(self, admin: Account, account_id: str) -> bool:
        """Suspend a colleague and end their sessions; False if there is none.

        Raises StaffRefused. Of two administrators who shut each other out, one stays in.
        """
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            colleague = await _colleague(tx, admin, account_id)
            if colleague is None:
                return False
            if colleague.suspended_ms is None:
                await reads.suspend_account(tx, colleague.id, now_ms, by="agency")
                await _write_down(tx, admin, colleague, "agency_suspended", now_ms)
        return True

    async def restore(self, admin: Account, account_id: str) -> bool:
        """Lift the agency's own suspension of a colleague; False if there is none.

        Raises StaffRefused: what the relay's operator did, an agency can't undo.
        """
        now_ms = self._clock.wall_ms()
        async with self._database.begin() as tx:
            colleague = await _colleague(tx, admin, account_id)
            if colleague is None:
                return False
            if colleague.suspended_ms is not None:
                if colleague.suspended_by != "agency":
                    words = "the relay's operator suspended this account: ask them"
                    raise StaffRefused("operator", words)
                await reads.restore_account(tx, colleague.id)
                await _write_down(tx, admin, colleague, "agency_restored", now_ms)
        return True

    async def invite(self, agency: str, email: str) -> str:
        """Return a new invitation for a colleague at a checked address."""
        async with self._database.begin() as tx:
            return await invite_officer(tx, self._clock.wall_ms(), agency=agency, email=email)


async def _colleague(tx: Transaction, admin: Account, account_id: str) -> Account | None:
    """Return a colleague, for an administrator who may act now; None if there is none."""
    if account_id == admin.id:
        raise StaffRefused("own", "this is your own account: a colleague does that")
    acting = await people.find_account(tx, admin.id)
    if acting is None or acting.suspended_ms is not None:
        raise StaffRefused("suspended", "your own account was suspended just now")
    found = await people.find_account(tx, account_id)
    is_theirs = found is not None and (found.role, found.agency) == ("officer", acting.agency)
    return found if is_theirs else None


async def _write_down(
    tx: Transaction, admin: Account, about: Account, what: What, now_ms: int
) -> None:
    await reads.add_read(
        tx, new_id(), admin_id=admin.id, account_id=about.id, what=what, now_ms=now_ms
    )
