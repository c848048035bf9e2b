"""Tables of who is pushed what neighbours tell, and of the batches still to be pushed."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from relay.store.schema.base import metadata

# Which topics an account follows stands in feed_members; without a row here nothing is pushed.
feed_pushes = Table(
    "feed_pushes",
    metadata,
    Column("account_id", Text, ForeignKey("accounts.id"), primary_key=True),
    Column("how", Text, nullable=False),  # push | daily | weekly
    Column("minute", Integer, nullable=False),  # of the day, of a digest
    Column("time_zone", Text, nullable=False),
    Column("quiet", Text),  # JSON of firmware.protocol.live.QuietHours
    Column("seen_ms", BigInteger, nullable=False),  # what was published until then was pushed
    Column("next_ms", BigInteger),  # of a digest
    Index("feed_pushes_by_time", "next_ms"),
)

# Batches that not all followers were pushed yet: what a district publishes, and when it is public.
feed_batches = Table(
    "feed_batches",
    metadata,
    Column("published_ms", BigInteger, primary_key=True),
    Column("district", Text, primary_key=True),
)
