"""Forward migrations: what brings an older database to the version in schema.py.

A step is plain SQL that SQLite and PostgreSQL both run, and is never changed once it was
released: it says what a version was, not what schema.py is today. All steps run in one
transaction, so that a database is of one version or of another. There is no way back.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, select, update

from relay.errors import SchemaTooNew, SchemaTooOld, StoreError
from relay.store.schema import SCHEMA_VERSION, schema_version

STEPS: Final[Mapping[int, Sequence[str]]] = {
    2: (
        """
        CREATE TABLE doorbell_health (
            device TEXT NOT NULL PRIMARY KEY REFERENCES doorbells (device),
            received_ms BIGINT NOT NULL,
            health TEXT NOT NULL
        )
        """,
        "ALTER TABLE events ADD COLUMN is_clock_trusted BOOLEAN NOT NULL DEFAULT true",
        "ALTER TABLE events ADD COLUMN corrected_ms BIGINT",
        # The payload is canonical JSON: inside a text, these quotes would have a backslash.
        """
        UPDATE events SET is_clock_trusted = false
        WHERE payload LIKE '%"is_clock_trusted":false%'
        """,
        "CREATE INDEX events_by_seq ON events (device, seq)",
        "CREATE INDEX events_by_kind ON events (device, kind, seq)",
    ),
    3: (
        # Notes are for one browser each now. Which one these were for can't be known here.
        "DELETE FROM events WHERE kind = 'note'",
        """
        CREATE TABLE carried_events (
            event_id TEXT NOT NULL PRIMARY KEY,
            device TEXT NOT NULL,
            digest TEXT NOT NULL,
            received_ms BIGINT NOT NULL
        )
        """,
        "CREATE INDEX carried_events_by_age ON carried_events (received_ms)",
        """
        CREATE TABLE thumbnails (
            event_id TEXT NOT NULL PRIMARY KEY REFERENCES events (event_id) ON DELETE CASCADE,
            device TEXT NOT NULL,
            received_ms BIGINT NOT NULL,
            sealed TEXT NOT NULL
        )
        """,
        "CREATE INDEX thumbnails_by_age ON thumbnails (received_ms)",
        """
        CREATE TABLE push_subscriptions (
            account_id TEXT NOT NULL REFERENCES accounts (id),
            browser TEXT NOT NULL,
            endpoint TEXT NOT NULL,
            set_ms BIGINT NOT NULL,
            expires_ms BIGINT,
            PRIMARY KEY (account_id, browser)
        )
        """,
        """
        CREATE TABLE pushes (
            event_id TEXT NOT NULL,
            account_id TEXT NOT NULL,
            browser TEXT NOT NULL,
            device TEXT NOT NULL,
            for_event_id TEXT NOT NULL,
            expires_ms BIGINT NOT NULL,
            encrypted TEXT NOT NULL,
            PRIMARY KEY (event_id, account_id, browser)
        )
        """,
        "CREATE INDEX pushes_by_account ON pushes (account_id)",
        "CREATE INDEX pushes_by_expiry ON pushes (expires_ms)",
    ),
    4: (
        """
        CREATE TABLE viewer_tokens (
            token_hash TEXT NOT NULL PRIMARY KEY,
            account_id TEXT NOT NULL REFERENCES accounts (id),
            device TEXT NOT NULL REFERENCES doorbells (device),
            browser TEXT NOT NULL,
            created_ms BIGINT NOT NULL,
            expires_ms BIGINT NOT NULL,
            UNIQUE (account_id, device, browser)
        )
        """,
    ),
}
"""By the version that it leads to."""


def check_version(connection: Connection) -> None:
    """Raise StoreError unless the database has exactly today's version."""
    found = _version_of(connection)
    if found < SCHEMA_VERSION:
        raise SchemaTooOld(found, SCHEMA_VERSION)


def migrate(connection: Connection) -> int:
    """Run the steps that are missing and return the version that was found; or StoreError."""
    found = _version_of(connection)
    for version in range(found + 1, SCHEMA_VERSION + 1):
        for statement in STEPS[version]:
            connection.exec_driver_sql(statement)
        connection.execute(update(schema_version).values(version=version))
    return found


def _version_of(connection: Connection) -> int:
    found = connection.execute(select(schema_version.c.version)).scalar_one()
    if found > SCHEMA_VERSION:
        raise SchemaTooNew(found, SCHEMA_VERSION)
    if found < min(STEPS) - 1:
        raise StoreError(f"the database has schema version {found}, which never was one")
    return int(found)
