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

SCHEMA_VERSION = 4
"""Goes up with every change here; relay/store/migrations.py then gets the step to it."""

metadata = MetaData()

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
    Column("relay_seq", Integer, primary_key=True, autoincrement=True),
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

agencies = Table(
    "agencies",
    metadata,
    Column("id", Text, primary_key=True),
    Column("document", Text, nullable=False),  # JSON of protocol.claims.Agency
)

officer_certificates = Table(
    "officer_certificates",
    metadata,
    Column("officer_id", Text, ForeignKey("accounts.id"), primary_key=True),
    Column("agency", Text, ForeignKey("agencies.id"), nullable=False),
    Column("signed", Text, nullable=False),  # JSON of protocol.requests.SignedCertificate
)

requests = Table(
    "requests",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agency", Text, ForeignKey("agencies.id"), nullable=False, index=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("digest", Text, nullable=False, unique=True),
    Column("signed", Text, nullable=False),  # JSON of protocol.requests.SignedRequest
    Column("published_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("state", Text, nullable=False),  # open | expired | closed
)

packages = Table(
    "packages",
    metadata,
    Column("package_id", Text, primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False, index=True),
    Column("device", Text, ForeignKey("doorbells.device"), nullable=False, index=True),
    Column("agency", Text, ForeignKey("agencies.id"), nullable=False, index=True),
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
