"""Tables beside the feed's posts: agencies' signatures, decisions judged again, notices made."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Table, Text

from relay.store.schema.base import metadata

# An agency's post with its signatures; one that says that life is in danger waits here for the
# second officer before it is a post. Erased with its post, 30 days after it was made.
agency_posts = Table(
    "agency_posts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agency", Text, nullable=False, index=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("cosigner_id", Text),  # the officer whom it names to co-sign it
    Column("signed", Text, nullable=False),  # JSON of protocol.feed_posts.SignedPost
    Column("cosigned", Text),  # JSON of protocol.feed_posts.PostCosignature
    Column("made_ms", BigInteger, nullable=False),
    Index("agency_posts_by_age", "made_ms"),
)

# A decision that another moderator judges again without seeing it. Its text goes once it is
# judged, or its time is over; what stays is counted by month.
feed_rejudgements = Table(
    "feed_rejudgements",
    metadata,
    Column("id", Text, primary_key=True),
    Column("post_id", Text, nullable=False, index=True),
    Column("post", Text),  # JSON of relay.store.feed_review.JudgedPost, until it is judged
    Column("first_moderator", Text, nullable=False),
    Column("first_reason", Text, nullable=False),  # "" where it was published
    Column("drawn_ms", BigInteger, nullable=False),
    Column("open_ms", BigInteger),  # the same, as long as there is a post
    Column("second_moderator", Text),
    Column("second_reason", Text),
    Column("judged_ms", BigInteger),
    Index("feed_rejudgements_by_time", "drawn_ms"),
    Index("feed_rejudgements_open", "open_ms"),
)

# Which notices of the register's agreements were made: each one once, whichever relay makes it.
feed_notices = Table(
    "feed_notices",
    metadata,
    Column("key", Text, primary_key=True),
    Column("made_ms", BigInteger, nullable=False),
)

# How often an agency had a post shown before a moderator read it, by month: public, and kept.
feed_dangers = Table(
    "feed_dangers",
    metadata,
    Column("month", Text, primary_key=True),
    Column("agency", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
)

# Legal process about an account's posts, for its person to be told; kept for 90 days. It names no
# post: that one is erased after 30.
feed_legal_notices = Table(
    "feed_legal_notices",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("kind", Text, nullable=False),  # relay.custody.legal_process.LegalKind
    Column("yielded", Text, nullable=False),  # JSON: a list of its FeedYield
    Column("told_ms", BigInteger, nullable=False),
    Column("is_pushed", Boolean, nullable=False),
    Index("feed_legal_notices_by_age", "told_ms"),
    Index("feed_legal_notices_unpushed", "is_pushed", "told_ms"),
)
