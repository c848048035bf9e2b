"""Tables of people: accounts, sign-in, routing to doorbells, players, Web Push."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)

from relay.store.schema.base import metadata

# --- people ----------------------------------------------------------------------------------

accounts = Table(
    "accounts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("role", Text, nullable=False),  # owner | officer | admin
    Column("agency", Text),  # officers only
    Column("name", Text, nullable=False),
    Column("created_ms", BigInteger, nullable=False),
    Column("email", Text),
    Column("suspended_ms", BigInteger),  # since when it may no longer sign in
    Column("suspended_by", Text),  # relay.store.reads.SuspendedBy
    Column("keep_event_days", BigInteger),  # owners only, by their choice; else as the relay does
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

# Failed logins of an address at an account, for a day. pair_hash is of both.
sign_in_failures = Table(
    "sign_in_failures",
    metadata,
    Column("pair_hash", Text, primary_key=True),
    Column("failures", BigInteger, nullable=False),
    Column("last_ms", BigInteger, nullable=False, index=True),
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
    Column("email", Text),  # whom it was sent to
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_hash", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("created_ms", BigInteger, nullable=False),
    Column("expires_ms", BigInteger, nullable=False),
    Column("csrf", Text, nullable=False),
    Column("id", Text),  # by which its person names it, to end it
    Column("address", Text),  # where it was opened from
    Column("browser", Text),  # its user agent, in short
    Column("seen_ms", BigInteger),
    Column("browser_id", Text),  # the browser's own keys, as its app says
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
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("device", Text),
    Column("state", Text, nullable=False),  # waiting | answered | revealed | stopped | paired
    Column("expires_ms", BigInteger, nullable=False),
    Column("answers", Text),  # JSON list of protocol.pairing.SignedPairingAnswer: two at most
)

# A newcomer asks to be signed in by an existing owner.
joins = Table(
    "joins",
    metadata,
    Column("pairing_id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("device", Text, nullable=False),
    Column("owner", Text, nullable=False),  # JSON of protocol.pairing.PairingReveal
    Column("created_ms", BigInteger, nullable=False),
    Column("done_ms", BigInteger),
)

account_doorbells = Table(
    "account_doorbells",
    metadata,
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("device", Text, ForeignKey("doorbells.device"), nullable=False, index=True),
    Column("place", BigInteger, nullable=False, server_default="0"),  # in the order of pairing
    UniqueConstraint("account_id", "device"),
)

# Guests: the doorbell gave this account's browser a right for a time (relay/store/guests.py).
guests = Table(
    "guests",
    metadata,
    Column("device", Text, ForeignKey("doorbells.device"), primary_key=True),
    Column("browser", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("what", Text, nullable=False),  # protocol.rights.What, with spaces between
    Column("since_seq", BigInteger, nullable=False),  # events up to this one aren't theirs
    Column("until_ms", BigInteger, nullable=False),
    Index("guests_by_end", "until_ms"),
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
    # When the process that sends is to take it: at once, or again if it is still here then.
    Column("due_ms", BigInteger, nullable=False, server_default="0"),
    Index("pushes_by_account", "account_id"),
    Index("pushes_by_due", "due_ms"),
    Index("pushes_by_expiry", "expires_ms"),
)

# What doorbells left to be pushed if they fall silent: ciphertext, the newest of each browser.
silences = Table(
    "silences",
    metadata,
    Column("device", Text, ForeignKey("doorbells.device"), primary_key=True),
    Column("browser", Text, primary_key=True, index=True),
    Column("event_id", Text, nullable=False),  # of the check-in
    Column("after_minutes", BigInteger, nullable=False),
    Column("encrypted", Text, nullable=False),  # base64url
    Column("due_ms", BigInteger),  # set while the doorbell is offline
    Index("silences_by_due", "due_ms"),
)
