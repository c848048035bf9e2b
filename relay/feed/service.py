"""The feed's services, built from its settings: one object for API and pages to hold."""

from dataclasses import dataclass

from relay.agency.register import RelayRegister
from relay.base.clock import Clock
from relay.custody.entries import CustodyEntries
from relay.custody.log_entries import LogEntries
from relay.feed.agency_posts import AgencyPosts
from relay.feed.figures import ModerationFigures
from relay.feed.members import Members
from relay.feed.moderation import FeedModeration
from relay.feed.pictures import PictureEncoder, Pictures
from relay.feed.posts import Posts
from relay.feed.reader import Reader
from relay.feed.rejudgements import RejudgementService
from relay.feed.text_contexts import TextContexts
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
    agency_posts: AgencyPosts
    figures: ModerationFigures

    @classmethod
    def build(
        cls,
        database: Database,
        clock: Clock,
        districts: Districts,
        *,
        register: RelayRegister,
        public_url: str,
    ) -> "Feed":
        """Return the services over one database; `public_url` is where requests are published."""
        reader = Reader(database, clock)
        texts = TextContexts(register, public_url)
        entries = CustodyEntries(LogEntries())
        return cls(
            districts=districts,
            members=Members(database, districts),
            posts=Posts(database, clock, districts, texts),
            pictures=Pictures(database, clock, reader, PictureEncoder()),
            reader=reader,
            moderation=FeedModeration(database, clock, RejudgementService(database, clock)),
            agency_posts=AgencyPosts(database, clock, register, districts, texts, entries),
            figures=ModerationFigures(database, clock),
        )
