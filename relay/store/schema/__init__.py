"""The one schema of the relay's database, with a version.

All times are integer milliseconds since the epoch (`_ms`), all sizes bytes (`_bytes`). Secrets
are kept only as SHA-256 (`_hash`). Documents of the protocol are kept as the JSON text that was
checked. SQLite and PostgreSQL both run it.
"""

from relay.store.schema.agencies import (
    agreement_texts,
    downloads,
    packages,
    requests,
)
from relay.store.schema.base import (
    SCHEMA_VERSION,
    metadata,
    schema_version,
)
from relay.store.schema.doorbells import (
    carried_events,
    claims,
    commands,
    doorbell_boots,
    doorbell_health,
    doorbells,
    events,
    thumbnails,
)
from relay.store.schema.logs import (
    deletions,
    log_checkpoints,
    log_entries,
    log_heads,
    received_counts,
    refusal_counts,
    release_commitments,
    slot_commitments,
    slot_trees,
)
from relay.store.schema.people import (
    account_doorbells,
    accounts,
    ceremonies,
    credentials,
    guests,
    invitations,
    joins,
    pairings,
    push_subscriptions,
    pushes,
    sessions,
    silences,
    viewer_tokens,
)
from relay.store.schema.portal import (
    admin_reads,
    agency_settings,
    appeals,
    moderation_decisions,
    oidc_identities,
    onboardings,
    outcomes,
    reminders,
    request_drafts,
)

__all__ = [
    "SCHEMA_VERSION",
    "account_doorbells",
    "accounts",
    "admin_reads",
    "agency_settings",
    "agreement_texts",
    "appeals",
    "carried_events",
    "ceremonies",
    "claims",
    "commands",
    "credentials",
    "deletions",
    "doorbell_boots",
    "doorbell_health",
    "doorbells",
    "downloads",
    "events",
    "guests",
    "invitations",
    "joins",
    "log_checkpoints",
    "log_entries",
    "log_heads",
    "metadata",
    "moderation_decisions",
    "oidc_identities",
    "onboardings",
    "outcomes",
    "packages",
    "pairings",
    "push_subscriptions",
    "pushes",
    "received_counts",
    "refusal_counts",
    "release_commitments",
    "reminders",
    "request_drafts",
    "requests",
    "schema_version",
    "sessions",
    "silences",
    "slot_commitments",
    "slot_trees",
    "thumbnails",
    "viewer_tokens",
]
