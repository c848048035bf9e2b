"""Tables of the agencies' portal: drafts, moderation, outcomes, onboarding, sign-in."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Table, Text

from relay.store.schema.base import metadata

# A form that an officer has begun; nothing in it is signed.
request_drafts = Table(
    "request_drafts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("form", Text, nullable=False),  # JSON of relay.request.drafts.DraftForm
    Column("saved_ms", BigInteger, nullable=False),
)

# What moderators decided, each with its reason for the officers.
moderation_decisions = Table(
    "moderation_decisions",
    metadata,
    Column("id", Text, primary_key=True),
    Column("request_id", Text, ForeignKey("requests.id"), nullable=False, index=True),
    Column("moderator", Text, nullable=False),  # an administrator's account, or "operator"
    Column("decision", Text, nullable=False),  # passed | refused | upheld | overturned
    Column("category", Text),  # refused: protocol.register.entries.RefusedCategory
    Column("reason", Text, nullable=False),
    Column("since_ms", BigInteger, nullable=False),  # how long it had waited for this
    Column("decided_ms", BigInteger, nullable=False),
)

# An officer asks another moderator to look at a refusal again: once a request.
appeals = Table(
    "appeals",
    metadata,
    Column("request_id", Text, ForeignKey("requests.id"), primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("text", Text, nullable=False),
    Column("appealed_ms", BigInteger, nullable=False),
    Column("decided_ms", BigInteger),
)

# What became of a request: the public part is signed and logged, `private_text` stays here.
outcomes = Table(
    "outcomes",
    metadata,
    Column("request_digest", Text, primary_key=True),
    Column("agency", Text, nullable=False, index=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False, index=True),
    Column("signed", Text, nullable=False),  # JSON of protocol.custody.SignedOutcome
    Column("private_text", Text, nullable=False),
    Column("filed_ms", BigInteger, nullable=False),
)

# Whose account at an agency's own identity provider is whose here.
oidc_identities = Table(
    "oidc_identities",
    metadata,
    Column("issuer", Text, primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("linked_ms", BigInteger, nullable=False),
    Index("oidc_identities_by_account", "account_id", "issuer", unique=True),
)

# What an agency's administrator sets for its officers; a limit that isn't set isn't there.
agency_settings = Table(
    "agency_settings",
    metadata,
    Column("agency", Text, primary_key=True),
    Column("email_domain", Text),
    Column("networks", Text, nullable=False),  # JSON: networks from which officers may come
    Column("max_sessions", Integer),
    Column("changed_ms", BigInteger, nullable=False),
)

# An agency that wants to take part, from its form to the register.
onboardings = Table(
    "onboardings",
    metadata,
    Column("id", Text, primary_key=True),
    Column("agency", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("code_hash", Text),  # of what was mailed to that address
    Column("code_expires_ms", BigInteger),
    Column("code_tries", Integer, nullable=False),  # how often a wrong one came back
    Column("confirmed_ms", BigInteger),  # when the code came back
    Column("enrolment", Text),  # JSON of relay.agency.keys.AgencyEnrolment
    Column("proposed", Text),  # JSON of relay.agency.changes.ProposedChange, with signatures
    Column("state", Text, nullable=False),  # relay.agency.onboarding.OnboardingState
    Column("reason", Text),  # refused: why
    Column("asked_ms", BigInteger, nullable=False),
    Column("changed_ms", BigInteger, nullable=False),
    Index("onboardings_by_state", "state", "changed_ms"),
)

# Reminders that an agreement or a certificate ends soon: each once.
reminders = Table(
    "reminders",
    metadata,
    Column("agency", Text, primary_key=True),
    Column("subject", Text, primary_key=True),  # relay.agency.reminders says which
    Column("days_before", Integer, primary_key=True),
    Column("sent_ms", BigInteger, nullable=False),
)

# Every time that an administrator looked at something personal; whoever it is about reads it.
# Of what somebody changed of their own ways to sign in, they are the administrator themselves.
admin_reads = Table(
    "admin_reads",
    metadata,
    Column("id", Text, primary_key=True),
    Column("admin_id", Text, nullable=False),
    Column("account_id", Text, ForeignKey("accounts.id"), nullable=False),
    Column("what", Text, nullable=False),  # relay.store.reads.What or OwnChange
    Column("about", Text),  # request: its case number
    Column("read_ms", BigInteger, nullable=False),
    Index("admin_reads_by_account", "account_id", "read_ms"),
)
