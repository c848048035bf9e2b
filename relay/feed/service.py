"""The feed's services, built from its settings: one object for API and pages to hold."""

from dataclasses import dataclass

from relay.base.clock import Clock
from relay.feed.members import Members
from relay.feed.moderation import FeedModeration
from relay.feed.pictures import PictureEncoder, Pictures
from relay.feed.posts import Posts
from relay.feed.reader import Reader
from relay.map.districts import Districts
from relay.store.database import Database


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """All of the feed."""

    districts: Districts
    members: Members
    posts: Posts
    pictures: Pictures
    reader: Reader
    moderation: FeedModeration

    @classmethod
    def build(cls, database: Database, clock: Clock, districts: Districts) -> "Feed":
        """Return the services over one database."""
        reader = Reader(database, clock)
        return cls(
            districts=districts,
            members=Members(database, districts),
            posts=Posts(database, clock, districts),
            pictures=Pictures(database, clock, reader, PictureEncoder()),
            reader=reader,
            moderation=FeedModeration(database, clock),
        )
