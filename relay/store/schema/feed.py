"""Tables of the neighbours' feed: members, posts and their pictures, moderation.

A post's place is a cell of resolution 8, a member's a district; nothing finer is stored (R22).
"""

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, Table, Text
from sqlalchemy.types import UserDefinedType

from relay.store.schema.base import metadata


class Bytes(UserDefinedType[bytes]):
    """A column of bytes. PostgreSQL calls it so; SQLite keeps bytes in a column of any type."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:  # Any: SQLAlchemy's own
        """Return the type's name in SQL."""
        return "BYTEA"


# Which district an account has chosen, and which topics it follows there.
feed_members = Table(
    "feed_members",
    metadata,
    Column("account_id", Text, ForeignKey("accounts.id"), primary_key=True),
    Column("district", Text, nullable=False),
    Column("follows", Text, nullable=False),  # JSON: a list of relay.feed.rules.Topic
    Index("feed_members_by_district", "district", "account_id"),
)

# Posts. What is taken back or refused keeps its row, without its text, until it is 30 days old.
feed_posts = Table(
    "feed_posts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("district", Text, nullable=False),
    Column("cell", Text, nullable=False),  # H3, resolution 8
    Column("kind", Text, nullable=False),  # relay.feed.rules.Kind
    Column("hour_ms", BigInteger, nullable=False),  # when it happened, to the hour
    Column("text", Text, nullable=False),  # empty once it is erased
    Column("written_by", Text, nullable=False),  # neighbour | agency | relay
    Column("account_id", Text, ForeignKey("accounts.id")),
    Column("agency", Text),
    Column("refers", Text),  # JSON of relay.feed.rules.Reference
    Column("is_urgent", Boolean, nullable=False),
    Column("state", Text, nullable=False),  # waiting | published | refused | withdrawn
    Column("written_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Column("published_ms", BigInteger),  # from then on it is public: the end of its batch
    Index("feed_posts_by_time", "state", "published_ms", "id"),
    Index("feed_posts_by_district", "state", "district", "published_ms", "id"),
    Index("feed_posts_by_change", "state", "changed_ms"),
    Index("feed_posts_by_account", "account_id", "written_ms"),
    Index("feed_posts_by_age", "written_ms"),
)

# Pictures as they were encoded anew. One that no post took is its uploader's for a day.
feed_pictures = Table(
    "feed_pictures",
    metadata,
    Column("id", Text, primary_key=True),
    Column("post_id", Text, ForeignKey("feed_posts.id")),
    Column("place", Integer, nullable=False),  # in its post, from 0
    Column("account_id", Text, ForeignKey("accounts.id")),  # null: a post has it
    Column("uploaded_ms", BigInteger, nullable=False),
    Column("jpeg", Bytes, nullable=False),
    Index("feed_pictures_by_post", "post_id", "place"),
    Index("feed_pictures_by_account", "account_id", "uploaded_ms"),
)

# Moderators' decisions. They stay when their post is erased, without words and post.
feed_decisions = Table(
    "feed_decisions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("post_id", Text, ForeignKey("feed_posts.id")),
    Column("moderator", Text, nullable=False),  # an administrator's account
    Column("verdict", Text, nullable=False),  # published | refused | upheld | overturned
    Column("reason", Text),  # of a refusal: relay.feed.rules.Reason
    Column("words", Text, nullable=False),
    Column("since_ms", BigInteger, nullable=False),  # since when it had waited for this
    Column("decided_ms", BigInteger, nullable=False),
    Index("feed_decisions_by_post", "post_id"),
    Index("feed_decisions_by_time", "decided_ms"),
)

# An author asks another moderator to look at a refusal again: once a post.
feed_appeals = Table(
    "feed_appeals",
    metadata,
    Column("post_id", Text, ForeignKey("feed_posts.id"), primary_key=True),
    Column("text", Text, nullable=False),
    Column("appealed_ms", BigInteger, nullable=False),
    Column("decided_ms", BigInteger),
    Index("feed_appeals_by_time", "decided_ms", "appealed_ms"),
)
