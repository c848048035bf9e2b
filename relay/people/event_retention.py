"""How long the relay keeps the events of an account's doorbells, by its owner's own choice.

Within what the operator allows; relay/ingest/expiry.py deletes by it. What the doorbell itself
keeps is decided at the doorbell.
"""

from dataclasses import dataclass

from relay.errors import RelayError
from relay.store import event_retention as store
from relay.store.database import Database
from relay.store.people import Account


class TooManyDays(RelayError):
    """More days were chosen than this relay keeps any events."""

    def __init__(self, most: int) -> None:
        super().__init__(f"this relay keeps events for {most} days at most; choose fewer")
        self.most = most


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The days that an account has chosen, None for the most; and the most that there are."""

    days: int | None
    most: int


class EventRetention:
    """The owners' choices. Each method is for the account that asks."""

    def __init__(self, database: Database, *, most_days: int) -> None:
        self._database = database
        self._most_days = most_days

    async def find(self, account: Account) -> Choice:
        """Return an account's choice."""
        async with self._database.read() as tx:
            return Choice(days=await store.chosen_days(tx, account.id), most=self._most_days)

    async def choose(self, account: Account, days: int | None) -> None:
        """Store an account's choice; None: as long as the relay keeps any. TooManyDays."""
        if days is not None and days > self._most_days:
            raise TooManyDays(self._most_days)
        async with self._database.begin() as tx:
            await store.choose_days(tx, account.id, days)
