"""The migration to version 6 of the schema, the agencies' portal; migrations.py runs it."""

from collections.abc import Sequence
from typing import Final

TO_VERSION_6: Final[Sequence[str]] = (
    "ALTER TABLE accounts ADD COLUMN email TEXT",
    "ALTER TABLE accounts ADD COLUMN suspended_ms BIGINT",
    "ALTER TABLE accounts ADD COLUMN suspended_by TEXT",
    "ALTER TABLE requests ADD COLUMN expires_ms BIGINT",
    "ALTER TABLE invitations ADD COLUMN email TEXT",
    "ALTER TABLE sessions ADD COLUMN id TEXT",
    "ALTER TABLE sessions ADD COLUMN address TEXT",
    "ALTER TABLE sessions ADD COLUMN browser TEXT",
    "ALTER TABLE sessions ADD COLUMN seen_ms BIGINT",
    "UPDATE sessions SET id = substr(token_hash, 1, 16), seen_ms = created_ms",
    "ALTER TABLE downloads ADD COLUMN given_ms BIGINT",
    "UPDATE downloads SET given_ms = at_ms",
    """
    CREATE TABLE request_drafts (
        id TEXT NOT NULL PRIMARY KEY,
        account_id TEXT NOT NULL REFERENCES accounts (id),
        form TEXT NOT NULL,
        saved_ms BIGINT NOT NULL
    )
    """,
    "CREATE INDEX ix_request_drafts_account_id ON request_drafts (account_id)",
    """
    CREATE TABLE moderation_decisions (
        id TEXT NOT NULL PRIMARY KEY,
        request_id TEXT NOT NULL REFERENCES requests (id),
        moderator TEXT NOT NULL,
        decision TEXT NOT NULL,
        category TEXT,
        reason TEXT NOT NULL,
        since_ms BIGINT NOT NULL,
        decided_ms BIGINT NOT NULL
    )
    """,
    "CREATE INDEX ix_moderation_decisions_request_id ON moderation_decisions (request_id)",
    """
    CREATE TABLE appeals (
        request_id TEXT NOT NULL PRIMARY KEY REFERENCES requests (id),
        account_id TEXT NOT NULL REFERENCES accounts (id),
        text TEXT NOT NULL,
        appealed_ms BIGINT NOT NULL,
        decided_ms BIGINT
    )
    """,
    """
    CREATE TABLE outcomes (
        request_digest TEXT NOT NULL PRIMARY KEY,
        agency TEXT NOT NULL,
        account_id TEXT NOT NULL REFERENCES accounts (id),
        signed TEXT NOT NULL,
        private_text TEXT NOT NULL,
        filed_ms BIGINT NOT NULL
    )
    """,
    "CREATE INDEX ix_outcomes_agency ON outcomes (agency)",
    """
    CREATE TABLE oidc_identities (
        issuer TEXT NOT NULL,
        subject TEXT NOT NULL,
        account_id TEXT NOT NULL REFERENCES accounts (id),
        linked_ms BIGINT NOT NULL,
        PRIMARY KEY (issuer, subject)
    )
    """,
    "CREATE UNIQUE INDEX oidc_identities_by_account ON oidc_identities (account_id, issuer)",
    """
    CREATE TABLE agency_settings (
        agency TEXT NOT NULL PRIMARY KEY,
        email_domain TEXT,
        networks TEXT NOT NULL,
        max_sessions INTEGER,
        changed_ms BIGINT NOT NULL
    )
    """,
    """
    CREATE TABLE onboardings (
        id TEXT NOT NULL PRIMARY KEY,
        agency TEXT NOT NULL,
        name TEXT NOT NULL,
        email TEXT NOT NULL,
        code_hash TEXT,
        code_expires_ms BIGINT,
        code_tries INTEGER NOT NULL,
        confirmed_ms BIGINT,
        enrolment TEXT,
        proposed TEXT,
        state TEXT NOT NULL,
        reason TEXT,
        asked_ms BIGINT NOT NULL,
        changed_ms BIGINT NOT NULL
    )
    """,
    "CREATE INDEX onboardings_by_state ON onboardings (state, changed_ms)",
    """
    CREATE TABLE reminders (
        agency TEXT NOT NULL,
        subject TEXT NOT NULL,
        days_before INTEGER NOT NULL,
        sent_ms BIGINT NOT NULL,
        PRIMARY KEY (agency, subject, days_before)
    )
    """,
    """
    CREATE TABLE admin_reads (
        id TEXT NOT NULL PRIMARY KEY,
        admin_id TEXT NOT NULL,
        account_id TEXT NOT NULL REFERENCES accounts (id),
        what TEXT NOT NULL,
        about TEXT,
        read_ms BIGINT NOT NULL
    )
    """,
    "CREATE INDEX admin_reads_by_account ON admin_reads (account_id, read_ms)",
)
