"""Tables of the public logs (relay/custody)."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Table,
    Text,
    UniqueConstraint,
)

from relay.store.schema.base import metadata

# One row a log: how far it has come. `size` entries have their places; the checkpoint that the
# world sees is of `published_size`, and `published` is its newest form.
log_heads = Table(
    "log_heads",
    metadata,
    Column("log", Text, primary_key=True),  # register | custody
    Column("added", BigInteger, nullable=False),  # the highest number below
    Column("size", BigInteger, nullable=False),
    Column("published_size", BigInteger, nullable=False),
    Column("published", Text),  # a signed note with cosignatures
    Column("published_ms", BigInteger, nullable=False),
    Column("holder", Text),  # the relay that may sequence, until
    Column("held_until_ms", BigInteger, nullable=False),
)

# Every entry, first without a place (`leaf_index`), then with one for ever.
log_entries = Table(
    "log_entries",
    metadata,
    Column("log", Text, primary_key=True),
    Column("number", BigInteger, primary_key=True),  # the order of arrival
    Column("key", Text, nullable=False),  # the caller's name for it: one entry a key
    Column("entry", Text, nullable=False),  # canonical JSON
    Column("leaf_hash", Text, nullable=False),  # hexadecimal
    Column("not_before_ms", BigInteger, nullable=False),  # it gets no place earlier
    Column("leaf_index", BigInteger),
    UniqueConstraint("log", "key"),
    UniqueConstraint("log", "leaf_index"),
)

# Every tree that was ever signed: one root a size. `witnessed` is its first checkpoint with a
# quorum, and `stamp` the number of that among them.
log_checkpoints = Table(
    "log_checkpoints",
    metadata,
    Column("log", Text, primary_key=True),
    Column("size", BigInteger, primary_key=True),
    Column("root", Text, nullable=False),  # hexadecimal
    Column("stamp", BigInteger),
    Column("witnessed", Text),
    UniqueConstraint("log", "stamp"),
)

# Which doorbell committed to which release; a package is taken for one of these only.
release_commitments = Table(
    "release_commitments",
    metadata,
    Column("commitment", Text, primary_key=True),  # hexadecimal
    Column("device", Text, ForeignKey("doorbells.device"), primary_key=True),
    Column("number", BigInteger, nullable=False),  # in log_entries (custody)
    Column("committed_ms", BigInteger, nullable=False),
    Column("told_ms", BigInteger),  # when its proof was sent last
    Index("release_commitments_by_device", "device", "committed_ms"),
)

# What doorbells committed to in slots that aren't told yet; deleted then.
slot_commitments = Table(
    "slot_commitments",
    metadata,
    Column("slot", BigInteger, primary_key=True),
    Column("device", Text, ForeignKey("doorbells.device"), primary_key=True),
    Column("commitment", Text, nullable=False),  # hexadecimal
)

# The tree of a slot that is on its way into the log.
slot_trees = Table(
    "slot_trees",
    metadata,
    Column("slot", BigInteger, primary_key=True),
    Column("leaves", Text, nullable=False),  # JSON: the tree's seed, then commitments
    Column("number", BigInteger, nullable=False),  # in log_entries (custody)
)

# How many packages arrived for an agency, for the bands that are public.
received_counts = Table(
    "received_counts",
    metadata,
    Column("agency", Text, primary_key=True),
    Column("quarter", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
)

# What doorbells refused, until their quarter is over and its sum is logged.
refusal_counts = Table(
    "refusal_counts",
    metadata,
    Column("quarter", Text, primary_key=True),
    Column("device", Text, ForeignKey("doorbells.device"), primary_key=True),
    Column("counts", Text, nullable=False),  # JSON: by check
)

# What an owner wants deleted after it was downloaded (R14).
deletions = Table(
    "deletions",
    metadata,
    Column("package_id", Text, ForeignKey("packages.package_id"), primary_key=True),
    Column("agency", Text, nullable=False, index=True),
    Column("asked_ms", BigInteger, nullable=False),
    Column("answer_by_ms", BigInteger, nullable=False),
    Column("answer", Text),  # JSON of protocol.custody.SignedDeletionAnswer
)
