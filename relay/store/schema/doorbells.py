"""Tables of doorbells: the fleet, events, health and commands."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Table,
    Text,
    true,
)

from relay.store.schema.base import metadata

# --- fleet -----------------------------------------------------------------------------------

# Every doorbell ever enrolled. Keys are base64url as on the wire.
doorbells = Table(
    "doorbells",
    metadata,
    Column("device", Text, primary_key=True),
    Column("identity_key", Text, nullable=False),
    Column("sealing_key", Text, nullable=False),
    Column("certificate_pem", Text, nullable=False),
    Column("evidence_certificate_pem", Text, nullable=False),
    # The end of certificate_pem: what counts for a renewal, and for the operator's warning.
    Column("certificate_ends_ms", BigInteger, nullable=False, server_default="0"),
    Column("enrolled_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
    Column("cloned_ms", BigInteger),  # since when its card is known to be in two devices
    Column("shard", Text),  # the shard that it was moved to; it is revoked here then
    Column("state", Text, nullable=False, default="offline"),  # online | offline
    Column("state_since_ms", BigInteger, nullable=False),
    Index("doorbells_by_state", "revoked_ms", "state", "state_since_ms"),
    Index("doorbells_by_certificate", "revoked_ms", "certificate_ends_ms"),
    Index("doorbells_by_clone", "revoked_ms", "cloned_ms"),
    # What each batch of events and states asks, without reading the certificates.
    Index("doorbells_by_device", "device", "revoked_ms", "state", "cloned_ms"),
)

# How far each doorbell's events have come; a row of its own, since each batch writes it.
event_cursors = Table(
    "event_cursors",
    metadata,
    Column("device", Text, ForeignKey("doorbells.device"), primary_key=True),
    Column("last_seq", BigInteger, nullable=False),  # the highest event seq committed
    Column("last_relay_seq", BigInteger, nullable=False),  # of its newest event
)

# How each doorbell is, by its last word; no history.
doorbell_health = Table(
    "doorbell_health",
    metadata,
    Column("device", Text, ForeignKey("doorbells.device"), primary_key=True),
    Column("received_ms", BigInteger, nullable=False),  # the relay's clock
    Column("health", Text, nullable=False),  # JSON of protocol.events.Health
    Index("doorbell_health_by_age", "received_ms"),  # who has fallen silent
)

# The starts of each doorbell, by its statuses: what a copied card gives away.
doorbell_boots = Table(
    "doorbell_boots",
    metadata,
    Column("device", Text, ForeignKey("doorbells.device"), primary_key=True),
    Column("history", Text, nullable=False),  # canonical JSON of fleet.boots.BootHistory
)

# One-time right to enrol one doorbell.
claims = Table(
    "claims",
    metadata,
    Column("secret_hash", Text, primary_key=True),
    Column("expires_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger),
    Column("device", Text),  # who used it; of one that isn't used, the only one who may
    Column("replaces", Text),  # the cloned doorbell that the new one takes the place of
    Column("replays", BigInteger, nullable=False, server_default="0"),  # by another key, refused
    Column("replayed_ms", BigInteger),  # when last
    Column("shard", Text),  # the shard that it was moved to
    Column("from_shard", Text),  # the shard that it, or the doorbell that it is bound to, came from
)

# --- what doorbells say, and what they are told ----------------------------------------------

SEQ_BITS = 8
"""Random bits below the milliseconds in `relay_seq`; a browser's numbers have 53 bits in all."""

# Every committed event. relay_seq gives the order of commit of one doorbell's events, by time
# (relay/store/events.py); event_ids makes each once only. On PostgreSQL they lie by month
# (relay/store/event_months.py).
events = Table(
    "events",
    metadata,
    Column("device", Text, primary_key=True),
    Column("relay_seq", BigInteger, primary_key=True, autoincrement=False),
    Column("event_id", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),  # the body's `type`
    Column("time_ms", BigInteger, nullable=False),  # the doorbell's clock
    Column("is_clock_trusted", Boolean, nullable=False, server_default=true()),
    Column("corrected_ms", BigInteger),  # by its own later word, where that clock wasn't set
    Column("received_ms", BigInteger, nullable=False),  # the relay's
    Column("credential_id", Text),  # notes only: the owner it is sealed to
    Column("payload", Text, nullable=False),  # canonical JSON of protocol.events.Event
    Index("events_by_seq", "device", "seq", "event_id"),
    Index("events_by_kind", "device", "kind", "seq"),
)

# The id of every event, whether its row is kept or it passed through (relay/store/event_ids.py).
event_ids = Table(
    "event_ids",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("device", Text, nullable=False),
    Column("digest", Text, nullable=False),  # SHA-256 of canonical protocol.events.Event; or empty
    Column("is_kept", Boolean, nullable=False),  # it has a row among the events
    Column("received_ms", BigInteger, nullable=False),  # the relay's clock
    Index("event_ids_by_age", "received_ms"),
)

# The sealed picture of an event; the relay can't open it.
thumbnails = Table(
    "thumbnails",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("device", Text, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("sealed", Text, nullable=False),  # JSON of protocol.thumbnails.SealedThumbnail
    Index("thumbnails_by_age", "received_ms"),
)

# The notice for passers-by of each doorbell whose owners put one up: it is public under its id.
door_notices = Table(
    "door_notices",
    metadata,
    Column("device", Text, ForeignKey("doorbells.device"), primary_key=True),
    Column("notice_id", Text, nullable=False, unique=True),
    Column("notice", Text, nullable=False),  # canonical JSON of protocol.door_notices.DoorNotice
    Column("signature", Text, nullable=False),  # its own key's, as in SignedDoorNotice
    Column("received_ms", BigInteger, nullable=False),  # the relay's clock
    Index("door_notices_by_age", "received_ms"),
)

# Commands that want a reply; receipts are never kept.
commands = Table(
    "commands",
    metadata,
    Column("id", Text, primary_key=True),
    Column("device", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),
    Column("about", Text),  # a package or commitment: of one kind only the newest is kept
    Column("payload", Text, nullable=False),  # canonical JSON of protocol.commands.Command
    Column("answered_ms", BigInteger),
    Column("reply", Text),  # canonical JSON of protocol.commands.Reply
    # Of its doorbell; -1: it was sent by a version that knew of no partitions.
    Column("partition", BigInteger, nullable=False, server_default="-1"),
    Index("commands_unanswered", "answered_ms", "expires_ms"),
    # What an owner of partitions looks for: those without a reply, the newest or all.
    Index("commands_by_partition", "partition", "answered_ms", "created_ms"),
    Index("commands_by_device", "device", "answered_ms", "created_ms"),
    Index("commands_by_about", "device", "kind", "about", unique=True),
)
