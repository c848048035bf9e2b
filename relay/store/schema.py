"""The one schema of the relay's database, with a version.

All times are integer milliseconds since the epoch (`_ms`), all sizes bytes (`_bytes`). Secrets
are kept only as SHA-256 (`_hash`). Documents of the protocol are kept as the JSON text that was
checked. SQLite and PostgreSQL both run it.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    true,
)

SCHEMA_VERSION = 5
"""Goes up with every change here; relay/store/migrations.py then gets the step to it."""

metadata = MetaData()
_SERIAL = BigInteger().with_variant(Integer(), "sqlite")
"""SQLite counts in 64 bits only in a column of its type INTEGER."""

# One row: which version of this file made the tables.
schema_version = Table(
    "schema_version",
    metadata,
    Column("version", Integer, nullable=False),
)

# --- fleet -----------------------------------------------------------------------------------

# Every doorbell ever enrolled. Keys are base64url as on the wire.
doorbells = Table(
    "doorbells",
    metadata,
    Column("device", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("identity_key", Text, nullable=False),
    Column("sealing_key", Text, nullable=False),
    Column("certificate_pem", Text, nullable=False),
    Column("enrolled_ms", BigInteger, nullable=False),
    Column("revoked_ms", BigInteger),
    Column("state", Text, nullable=False, default="offline"),  # online | offline
    Column("state_since_ms", BigInteger, nullable=False),
    Column("last_seq", BigInteger, nullable=False, default=0),  # highest event seq committed
)

# How each doorbell is, by its last word; no history.
doorbell_health = Table(
    "doorbell_health",
    metadata,
    Column("device", Text, ForeignKey("doorbells.device"), primary_key=True),
    Column("received_ms", BigInteger, nullable=False),  # the relay's clock
    Column("health", Text, nullable=False),  # JSON of protocol.events.Health
)

# One-time right to enrol one doorbell.
claims = Table(
    "claims",
    metadata,
    Column("secret_hash", Text, primary_key=True),
    Column("expires_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger),
    Column("device", Text),
)

# --- what doorbells say, and what they are told ----------------------------------------------

# Every committed event. relay_seq gives the order of commit; event_id makes it once only.
events = Table(
    "events",
    metadata,
    Column("relay_seq", _SERIAL, primary_key=True, autoincrement=True),
    Column("event_id", Text, nullable=False, unique=True),
    Column("device", Text, nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("kind", Text, nullable=False),  # the body's `type`
    Column("time_ms", BigInteger, nullable=False),  # the doorbell's clock
    Column("is_clock_trusted", Boolean, nullable=False, server_default=true()),
    Column("corrected_ms", BigInteger),  # by its own later word, where that clock wasn't set
    Column("received_ms", BigInteger, nullable=False),  # the relay's
    Column("credential_id", Text),  # notes only: the owner it is sealed to
    Column("payload", Text, nullable=False),  # canonical JSON of protocol.events.Event
    Index("events_by_device", "device", "relay_seq"),
    Index("events_by_seq", "device", "seq"),
    Index("events_by_kind", "device", "kind", "seq"),
    sqlite_autoincrement=True,
)

# Events that pass through: only that they came (relay/store/carried.py).
carried_events = Table(
    "carried_events",
    metadata,
    Column("event_id", Text, primary_key=True),
    Column("device", Text, nullable=False),
    Column("digest", Text, nullable=False),  # SHA-256 of canonical protocol.events.Event
    Column("received_ms", BigInteger, nullable=False),  # the relay's clock
    Index("carried_events_by_age", "received_ms"),
)

# The sealed picture of an event; the relay can't open it.
thumbnails = Table(
    "thumbnails",
    metadata,
    Column("event_id", Text, ForeignKey("events.event_id", ondelete="CASCADE"), primary_key=True),
    Column("device", Text, nullable=False),
    Column("received_ms", BigInteger, nullable=False),
    Column("sealed", Text, nullable=False),  # JSON of protocol.thumbnails.SealedThumbnail
    Index("thumbnails_by_age", "received_ms"),
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
    Column("payload", Text, nullable=False),  # canonical JSON of protocol.commands.Command
    Column("answered_ms", BigInteger),
    Column("reply", Text),  # canonical JSON of protocol.commands.Reply
    Index("commands_unanswered", "answered_ms", "expires_ms"),
)

# --- people ----------------------------------------------------------------------------------

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("role", Text, nullable=False),  # owner | officer
    Column("agency", Text),  # officers only
    Column("name", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
)

# Passkeys (WebAuthn). public_key is SubjectPublicKeyInfo in base64url.
credentials = Table(
    "credentials",
    metadata,
    Column("credential_id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("public_key", Text, nullable=False),
    Column("rp_id", Text, nullable=False),
    Column("origin", Text, nullable=False),
    Column("aaguid", Text, nullable=False),
    Column("sign_count", BigInteger, nullable=False),
    Column("is_demo", Boolean, nullable=False),
)

# One-time invitations to add a passkey.
invitations = Table(
    "invitations",
    metadata,
    Column("secret_hash", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("agency", Text),
    Column("device", Text),  # co-owners: the doorbell that they may join
    Column("expires_ms", BigInteger, nullable=False),
    Column("used_ms", BigInteger),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("csrf", Text, nullable=False),
)

# A registration or login under way.
ceremonies = Table(
    "ceremonies",
    metadata,
    Column("id", Text, primary_key=True),
    Column("challenge", LargeBinary, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("data", Text, nullable=False),  # JSON, what the second step needs
    Column("expires_ms", BigInteger, nullable=False),
)

# --- routing between owners and doorbells (security is the doorbell's) -----------------------

# An account waits for a doorbell that has read its QR code.
pairings = Table(
    "pairings",
    metadata,
    Column("pairing_id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("device", Text),
    Column("state", Text, nullable=False),  # waiting | answered | paired
    Column("expires_ms", BigInteger, nullable=False),
)

# A newcomer asks to be signed in by an existing owner.
joins = Table(
    "joins",
    metadata,
    Column("pairing_id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("device", Text, nullable=False),
    Column("owner", Text, nullable=False),  # JSON of protocol.grants.OwnerKeys
    Column("created_ms", BigInteger, nullable=False),
    Column("done_ms", BigInteger),
)

account_doorbells = Table(
    "account_doorbells",
    metadata,
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("device", Text, ForeignKey("doorbells.device"), nullable=False, index=True),
    UniqueConstraint("account_id", "device"),
)

# --- other players ----------------------------------------------------------------------------

# A token that carries signalling of live view with one doorbell, for one player's keys.
viewer_tokens = Table(
    "viewer_tokens",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("device", Text, ForeignKey("doorbells.device"), nullable=False),
    Column("browser", Text, nullable=False),  # protocol.browsers.BrowserId
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    UniqueConstraint("account_id", "device", "browser"),
)

# --- Web Push --------------------------------------------------------------------------------

# Where an account's browser is reached. The endpoint is a secret of that browser.
push_subscriptions = Table(
    "push_subscriptions",
    metadata,
    Column("account_id", Text, ForeignKey("accounts.id"), primary_key=True),
    Column("browser", Text, primary_key=True),  # protocol.browsers.BrowserId
    Column("endpoint", Text, nullable=False),
    Column("set_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger),
)

# Messages on their way to a push service: ciphertext, deleted once sent or over.
pushes = Table(
    "pushes",
    metadata,
    Column("event_id", Text, primary_key=True),  # of the event that wanted it
    Column("account_id", Text, primary_key=True),
    Column("browser", Text, primary_key=True),
    Column("device", Text, nullable=False),
    Column("for_event_id", Text, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("encrypted", Text, nullable=False),  # base64url
    Index("pushes_by_account", "account_id"),
    Index("pushes_by_expiry", "expires_ms"),
)

# --- agencies, requests, evidence ------------------------------------------------------------

# An agency's agreement in words; the register has its SHA-256.
agreement_texts = Table(
    "agreement_texts",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("text", Text, nullable=False),
)

# A request on its way into the register. Once its entry is there, the register alone says how it
# stands; who is an agency or an officer, the register says as well.
requests = Table(
    "requests",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agency", Text, nullable=False, index=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),  # who drafted it
    Column("cosigner_id", Text, nullable=False),  # the officer whom it names to co-sign it
    Column("digest", Text, nullable=False, unique=True),
    Column("draft", Text, nullable=False),  # JSON of relay.store.requests.Draft
    Column("cosigned", Text),  # JSON of relay.store.requests.Cosigned
    Column("state", Text, nullable=False),  # relay.store.requests.DeskState
    Column("category", Text),  # why a moderator refused it
    Column("why", Text),  # why the register would have refused it
    Column("drafted_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),  # when it came to this state
    Index("requests_by_state", "state", "changed_ms"),
)

packages = Table(
    "packages",
    metadata,
    Column("package_id", Text, primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False, index=True),
    Column("device", Text, ForeignKey("doorbells.device"), nullable=False, index=True),
    Column("agency", Text, nullable=False, index=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("part_bytes", BigInteger, nullable=False),
    Column("parts", Text, nullable=False),  # JSON: the SHA-256 of each part, in order
    Column("upload_id", Text),
    Column("object_key", Text),
    Column("state", Text, nullable=False),  # announced | uploading | delivered | downloaded
    Column("at_ms", BigInteger, nullable=False),
)

downloads = Table(
    "downloads",
    metadata,
    Column("id", Text, primary_key=True),
    Column("package_id", Text, ForeignKey("packages.package_id"), nullable=False, index=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
)

# --- the public logs (relay/custody) ----------------------------------------------------------

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

# Who is to hear of a release once it is in the log; deleted when that is told.
release_commitments = Table(
    "release_commitments",
    metadata,
    Column("commitment", Text, primary_key=True),  # hexadecimal
    Column("device", Text, ForeignKey("doorbells.device"), nullable=False),
    Column("number", BigInteger, nullable=False),  # in log_entries (custody)
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
    Column("leaves", Text, nullable=False),  # JSON: commitments and padding, in the tree's order
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
