"""Members of the feed: which district an account has chosen, and the topics that it follows.

Nothing is chosen beforehand. The district is all that the relay knows of where a member lives.
"""

from collections.abc import Collection

from relay.feed.rules import TOPICS, Topic, require_district
from relay.map.districts import Districts
from relay.store import feed
from relay.store.database import Database
from relay.store.feed import Membership
from relay.store.people import Account


class Members:
    """The members' choices. Each method is for the account that asks."""

    def __init__(self, database: Database, districts: Districts) -> None:
        self._database = database
        self._districts = districts

    async def find(self, account: Account) -> Membership | None:
        """Return what an account has chosen; None, too, where its district is no more."""
        async with self._database.read() as tx:
            found = await feed.find_membership(tx, account.id)
        return None if found is None or self._districts.find(found.district) is None else found

    async def join(
        self, account: Account, district: str, follows: Collection[Topic] | None = None
    ) -> Membership:
        """Choose a district in place of the one before. FeedRefused if there is none.

        `follows` None: the topics stay as they were, for a new member none.
        """
        require_district(self._districts, district)
        async with self._database.begin() as tx:
            before = await feed.find_membership(tx, account.id)
            kept = () if before is None else before.follows
            topics = kept if follows is None else tuple(one for one in TOPICS if one in follows)
            chosen = Membership(account_id=account.id, district=district, follows=topics)
            await feed.set_membership(tx, chosen)
        return chosen

    async def leave(self, account: Account) -> None:
        """Forget what an account has chosen; its posts stay."""
        async with self._database.begin() as tx:
            await feed.end_membership(tx, account.id)
