"""An agency's people, as its own administrator sees them: who they are, and their sessions."""

from dataclasses import dataclass

from relay.clock import Clock
from relay.people.invitations import invite_officer
from relay.store import people, sessions
from relay.store.database import Database
from relay.store.people import Account


@dataclass(frozen=True, slots=True, kw_only=True)
class Colleague:
    """One officer; `seen_ms` is when one of their sessions was last seen."""

    account: Account
    has_passkey: bool
    session_count: int
    seen_ms: int | None


class Staff:
    """Looks up the people of one agency; whose administrator asks, the caller has checked."""

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
        """Tell whether an account has a passkey: one that came by OpenID Connect may not."""
        async with self._database.read() as tx:
            return bool(await people.list_credentials(tx, account.id))

    async def invite(self, agency: str, email: str) -> str:
        """Return a new invitation for a colleague at a checked address."""
        async with self._database.begin() as tx:
            return await invite_officer(tx, self._clock.wall_ms(), agency=agency, email=email)
