"""Viewer tokens: bearer tokens of gateways for other players (`doorward-view`).

A token carries signalling with one doorbell and nothing else, and opens no live view: that needs
the session key that the owner enrolled at the doorbell, which never leaves the player's machine.
"""

from dataclasses import dataclass

from relay.base.clock import Clock
from relay.people.secrets import hash_of, new_secret
from relay.store import viewers
from relay.store.database import Database
from relay.store.viewers import ViewerRow

VIEWER_TOKEN_LIFE_MS = 400 * 24 * 3600 * 1000
"""Longer than the player's keys count unrenewed (30 days): renewing those needs no new token."""
MAX_VIEWERS = 16
"""Of one account at one doorbell; a further one takes the place of the oldest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MintedToken:
    """A new token, shown once."""

    token: str
    expires_ms: int


class ViewerTokens:
    """Creates, finds and deletes viewer tokens. Whose doorbell it is, the caller has checked."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def mint(self, *, account_id: str, device: str, browser: str) -> MintedToken:
        """Return a new token for a player; its former one becomes invalid."""
        token, now_ms = new_secret(), self._clock.wall_ms()
        row = ViewerRow(
            account_id=account_id,
            device=device,
            browser=browser,
            created_ms=now_ms,
            expires_ms=now_ms + VIEWER_TOKEN_LIFE_MS,
        )
        async with self._database.begin() as tx:
            await viewers.add(tx, hash_of(token), row, limit=MAX_VIEWERS)
        return MintedToken(token=token, expires_ms=row.expires_ms)

    async def find(self, token: str, device: str) -> ViewerRow | None:
        """Return the account of a token that is valid for this doorbell."""
        async with self._database.read() as tx:
            return await viewers.find(tx, hash_of(token), device, now_ms=self._clock.wall_ms())

    async def list_of(self, *, account_id: str, device: str) -> list[ViewerRow]:
        """Return an account's players at one doorbell, newest first."""
        async with self._database.read() as tx:
            return await viewers.list_of(
                tx, account_id=account_id, device=device, now_ms=self._clock.wall_ms()
            )

    async def end(self, *, account_id: str, device: str, browser: str) -> None:
        """Forget a player's token; it may be forgotten already."""
        async with self._database.begin() as tx:
            await viewers.end(tx, account_id=account_id, device=device, browser=browser)
