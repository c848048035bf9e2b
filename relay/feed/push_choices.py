"""What members are pushed of their district: topics, at once or as a digest, and quiet hours.

Nothing is chosen beforehand. Which kinds make a topic is decided here.
"""

from dataclasses import dataclass
from typing import Final, Literal

from firmware.protocol.encoding import decode
from firmware.protocol.live import QuietHours
from relay.base.clock import Clock
from relay.feed.local_times import next_moment_ms, zone_of
from relay.feed.rules import FeedRefused, Topic
from relay.store import feed, feed_pushes
from relay.store.database import Database, signal
from relay.store.feed import Membership
from relay.store.feed_pushes import FeedPushRow
from relay.store.people import Account

How = Literal["push", "daily", "weekly"]
DIGEST_DAYS: Final[dict[str, int]] = {"daily": 1, "weekly": 7}
USUAL_MINUTE: Final = 18 * 60
LOST_AND_FOUND: Final = frozenset({"lost", "found"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PushChoice:
    """An account's choice; `minute` of the day is a digest's, in `time_zone`."""

    groups: tuple[str, ...]
    how: str
    minute: int
    time_zone: str
    quiet: QuietHours | None


NOTHING: Final = PushChoice(groups=(), how="push", minute=USUAL_MINUTE, time_zone="UTC", quiet=None)


class PushChoices:
    """The members' choices. Each method is for the account that asks."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    async def find(self, account: Account) -> PushChoice:
        """Return what an account has chosen; NOTHING before it has."""
        async with self._database.read() as tx:
            member = await feed.find_membership(tx, account.id)
            row = await feed_pushes.find(tx, account.id)
        if member is None or row is None:
            return NOTHING
        return PushChoice(
            groups=member.follows,
            how=row.how,
            minute=row.minute,
            time_zone=row.time_zone,
            quiet=quiet_of(row),
        )

    async def choose(self, account: Account, followed: PushChoice) -> None:
        """Store a member's choice; what was published before isn't pushed. FeedRefused."""
        now_ms = self._clock.wall_ms()
        zone_of(followed.time_zone)
        if followed.quiet is not None:
            zone_of(followed.quiet.time_zone)
        is_digest = followed.how in DIGEST_DAYS
        async with self._database.begin() as tx:
            member = await feed.find_membership(tx, account.id)
            if member is None:
                raise FeedRefused("not_a_member", "choose your district first")
            topics = Membership(
                account_id=account.id, district=member.district, follows=followed.groups
            )
            await feed.set_membership(tx, topics)
            quiet = None if followed.quiet is None else followed.quiet.encode().decode()
            row = FeedPushRow(
                account_id=account.id,
                how=followed.how,
                minute=followed.minute,
                time_zone=followed.time_zone,
                quiet=quiet,
                seen_ms=now_ms,
                next_ms=next_moment_ms(followed.minute, followed.time_zone, after_ms=now_ms)
                if is_digest
                else None,
            )
            await feed_pushes.put(tx, row)
            signal(tx, "feed")


def topic_of(kind: str) -> Topic:
    """Return the topic to which a kind of post belongs."""
    return "lost_and_found" if kind in LOST_AND_FOUND else "safety"


def quiet_of(row: FeedPushRow) -> QuietHours | None:
    """Return the quiet hours that are kept in a row."""
    return None if row.quiet is None else decode(QuietHours, row.quiet.encode())
