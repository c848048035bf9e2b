"""Push subscriptions: each of an account's browsers has at most one.

A subscription belongs to an account and a browser together: who names somebody else's browser
gets nothing of theirs and takes nothing from them. It counts for every doorbell of the account.
"""

from collections.abc import Sequence

from relay.base.allowances import Allowances, Rate
from relay.base.clock import Clock
from relay.notify.push_endpoints import EndpointRefused, Endpoints
from relay.notify.push_key import PushKey
from relay.store import push
from relay.store.database import Database
from relay.store.people import Account
from relay.store.push import SubscriptionRow

SUBSCRIBING = Rate(at_once=20, each_s=10.0)
"""Of an account; each one makes the relay look a name up."""


class PushSubscriptions:
    """Stores and deletes subscriptions."""

    def __init__(
        self, *, database: Database, clock: Clock, endpoints: Endpoints, key: PushKey
    ) -> None:
        self._database = database
        self._clock = clock
        self._endpoints = endpoints
        self._allowances = Allowances(clock)
        self.public_key = key.public_key

    async def add(
        self, owner: Account, browser: str, endpoint: str, *, expires_ms: int | None
    ) -> None:
        """Store a browser's subscription.

        Raises RateExceeded, EndpointRefused or EndpointUnresolved.
        """
        self._allowances.take(owner.id, SUBSCRIBING)
        now_ms = self._clock.wall_ms()
        if expires_ms is not None and expires_ms <= now_ms:
            raise EndpointRefused("this subscription is over; subscribe again")
        await self._endpoints.addresses(self._endpoints.parse(endpoint))
        async with self._database.begin() as tx:
            await push.subscribe(
                tx,
                account_id=owner.id,
                browser=browser,
                endpoint=endpoint,
                now_ms=now_ms,
                expires_ms=expires_ms,
            )

    async def list(self, owner: Account) -> Sequence[SubscriptionRow]:
        """Return the account's subscriptions, the newest first."""
        async with self._database.read() as tx:
            return await push.list_subscriptions(
                tx, account_id=owner.id, now_ms=self._clock.wall_ms()
            )

    async def end(self, owner: Account, browser: str) -> None:
        """Delete the subscription of one of this account's browsers."""
        async with self._database.begin() as tx:
            await push.unsubscribe(tx, account_id=owner.id, browser=browser)
