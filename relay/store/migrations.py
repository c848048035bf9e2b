"""Forward migrations of an older database to the version in schema/.

A step is plain SQL that SQLite and PostgreSQL both run, and is never changed once it was
released: it says what a version was, not what schema/ is today. There is no way back.

Steps that older relays can't run beside, which are all up to 13, run in one transaction: a database
is of one version or of another. On PostgreSQL those after them run online (migrator.py).
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final

from sqlalchemy import Connection, select, update

from relay.errors import StoreError
from relay.store import event_months
from relay.store.history import History, Index, SchemaState, Step
from relay.store.portal_migration import TO_VERSION_6
from relay.store.schema import metadata, schema_version

_THEFT_MAP_12: Final = (
    """
    CREATE TABLE theft_months (
        month TEXT NOT NULL PRIMARY KEY,
        secret TEXT,
        published_ms BIGINT
    )
    """,
    """
    CREATE TABLE theft_reports (
        month TEXT NOT NULL REFERENCES theft_months (month),
        cell TEXT NOT NULL,
        account_tag TEXT NOT NULL,
        doorbell_tags TEXT NOT NULL,
        PRIMARY KEY (month, cell, account_tag)
    )
    """,
    "CREATE INDEX theft_reports_by_account ON theft_reports (month, account_tag)",
    """
    CREATE TABLE theft_counts (
        month TEXT NOT NULL REFERENCES theft_months (month),
        cell TEXT NOT NULL,
        households BIGINT NOT NULL,
        PRIMARY KEY (month, cell)
    )
    """,
    """
    CREATE TABLE theft_editions (
        month TEXT NOT NULL PRIMARY KEY REFERENCES theft_months (month),
        body TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE theft_imports (
        id TEXT NOT NULL PRIMARY KEY,
        body TEXT NOT NULL,
        imported_ms BIGINT NOT NULL
    )
    """,
)
_CREDIT_12: Final = (
    """
    CREATE TABLE credit_partners (
        id TEXT NOT NULL PRIMARY KEY,
        name TEXT NOT NULL,
        kind TEXT NOT NULL,
        contact TEXT NOT NULL,
        email TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE credit_campaigns (
        code TEXT NOT NULL PRIMARY KEY,
        partner TEXT NOT NULL REFERENCES credit_partners (id),
        head_start INTEGER NOT NULL
    )
    """,
    """
    CREATE TABLE credit_transactions (
        number BIGINT NOT NULL PRIMARY KEY,
        month TEXT NOT NULL,
        kind TEXT NOT NULL,
        reference TEXT
    )
    """,
    "CREATE INDEX ix_credit_transactions_month ON credit_transactions (month)",
    """
    CREATE TABLE credit_lines (
        number BIGINT NOT NULL REFERENCES credit_transactions (number),
        account TEXT NOT NULL,
        cents BIGINT NOT NULL,
        PRIMARY KEY (number, account)
    )
    """,
    """
    CREATE TABLE credit_balances (
        account TEXT NOT NULL PRIMARY KEY,
        cents BIGINT NOT NULL,
        CONSTRAINT credit_balance_is_covered CHECK (cents >= 0 OR account = 'outside')
    )
    """,
    """
    CREATE TABLE credit_due (
        code TEXT NOT NULL REFERENCES credit_campaigns (code),
        month TEXT NOT NULL,
        sign_ups INTEGER NOT NULL,
        PRIMARY KEY (code, month)
    )
    """,
    "CREATE TABLE credit_used (device TEXT NOT NULL PRIMARY KEY REFERENCES doorbells (device))",
    "CREATE TABLE credit_months (month TEXT NOT NULL PRIMARY KEY, sha256 TEXT NOT NULL)",
    """
    CREATE TABLE credit_recipient_lists (
        name TEXT NOT NULL PRIMARY KEY,
        document TEXT NOT NULL,
        sha256 TEXT NOT NULL,
        entry BIGINT NOT NULL,
        checkpoint_size BIGINT,
        checkpoint_root TEXT
    )
    """,
    """
    CREATE TABLE credit_issues (
        list TEXT NOT NULL REFERENCES credit_recipient_lists (name),
        recipient BIGINT NOT NULL,
        number BIGINT NOT NULL REFERENCES credit_transactions (number),
        PRIMARY KEY (list, recipient)
    )
    """,
)
_LOOKS_12: Final = ("ALTER TABLE account_doorbells ADD COLUMN place BIGINT NOT NULL DEFAULT 0",)
_PRESETS_12: Final = (
    """
    CREATE TABLE request_presets (
        id TEXT NOT NULL PRIMARY KEY,
        agency TEXT NOT NULL,
        kind TEXT NOT NULL,
        name TEXT NOT NULL,
        content TEXT NOT NULL,
        saved_ms BIGINT NOT NULL
    )
    """,
    """
    CREATE UNIQUE INDEX request_presets_by_name ON request_presets (agency, kind, name)
    """,
)
_FEED_PUSHES_12: Final = (
    """
    CREATE TABLE feed_pushes (
        account_id TEXT NOT NULL PRIMARY KEY REFERENCES accounts (id),
        how TEXT NOT NULL,
        minute INTEGER NOT NULL,
        time_zone TEXT NOT NULL,
        quiet TEXT,
        seen_ms BIGINT NOT NULL,
        next_ms BIGINT
    )
    """,
    "CREATE INDEX feed_pushes_by_time ON feed_pushes (next_ms)",
)
_FEED_BATCHES_12: Final = (
    "CREATE INDEX feed_members_by_district ON feed_members (district, account_id)",
    """
    CREATE TABLE feed_batches (
        published_ms BIGINT NOT NULL,
        district TEXT NOT NULL,
        PRIMARY KEY (published_ms, district)
    )
    """,
)
_FEED_12: Final = (
    """
    CREATE TABLE feed_members (
        account_id TEXT NOT NULL PRIMARY KEY REFERENCES accounts (id),
        district TEXT NOT NULL,
        follows TEXT NOT NULL
    )
    """,
    """
    CREATE TABLE feed_posts (
        id TEXT NOT NULL PRIMARY KEY,
        district TEXT NOT NULL,
        cell TEXT NOT NULL,
        kind TEXT NOT NULL,
        hour_ms BIGINT NOT NULL,
        text TEXT NOT NULL,
        written_by TEXT NOT NULL,
        account_id TEXT REFERENCES accounts (id),
        agency TEXT,
        refers TEXT,
        is_urgent BOOLEAN NOT NULL,
        state TEXT NOT NULL,
        written_ms BIGINT NOT NULL,
        changed_ms BIGINT NOT NULL,
        published_ms BIGINT
    )
    """,
    "CREATE INDEX feed_posts_by_time ON feed_posts (state, published_ms, id)",
    "CREATE INDEX feed_posts_by_district ON feed_posts (state, district, published_ms, id)",
    "CREATE INDEX feed_posts_by_change ON feed_posts (state, changed_ms)",
    "CREATE INDEX feed_posts_by_account ON feed_posts (account_id, written_ms)",
    "CREATE INDEX feed_posts_by_age ON feed_posts (written_ms)",
    """
    CREATE TABLE feed_pictures (
        id TEXT NOT NULL PRIMARY KEY,
        post_id TEXT REFERENCES feed_posts (id),
        place INTEGER NOT NULL,
        account_id TEXT REFERENCES accounts (id),
        uploaded_ms BIGINT NOT NULL,
        jpeg BYTEA NOT NULL
    )
    """,
    "CREATE INDEX feed_pictures_by_post ON feed_pictures (post_id, place)",
    "CREATE INDEX feed_pictures_by_account ON feed_pictures (account_id, uploaded_ms)",
    """
    CREATE TABLE feed_decisions (
        id TEXT NOT NULL PRIMARY KEY,
        post_id TEXT REFERENCES feed_posts (id),
        moderator TEXT NOT NULL,
        verdict TEXT NOT NULL,
        reason TEXT,
        words TEXT NOT NULL,
        since_ms BIGINT NOT NULL,
        decided_ms BIGINT NOT NULL
    )
    """,
    "CREATE INDEX feed_decisions_by_post ON feed_decisions (post_id)",
    "CREATE INDEX feed_decisions_by_time ON feed_decisions (decided_ms)",
    """
    CREATE TABLE feed_appeals (
        post_id TEXT NOT NULL PRIMARY KEY REFERENCES feed_posts (id),
        text TEXT NOT NULL,
        appealed_ms BIGINT NOT NULL,
        decided_ms BIGINT
    )
    """,
    "CREATE INDEX feed_appeals_by_time ON feed_appeals (decided_ms, appealed_ms)",
)

_FEED_LEGAL_12: Final = (
    """
    CREATE TABLE feed_legal_notices (
        id TEXT NOT NULL PRIMARY KEY,
        account_id TEXT NOT NULL REFERENCES accounts (id),
        kind TEXT NOT NULL,
        yielded TEXT NOT NULL,
        told_ms BIGINT NOT NULL,
        is_pushed BOOLEAN NOT NULL
    )
    """,
    "CREATE INDEX ix_feed_legal_notices_account_id ON feed_legal_notices (account_id)",
    "CREATE INDEX feed_legal_notices_by_age ON feed_legal_notices (told_ms)",
    "CREATE INDEX feed_legal_notices_unpushed ON feed_legal_notices (is_pushed, told_ms)",
)
_FEED_REVIEW_12: Final = (
    """
    CREATE TABLE agency_posts (
        id TEXT NOT NULL PRIMARY KEY,
        agency TEXT NOT NULL,
        account_id TEXT NOT NULL REFERENCES accounts (id),
        cosigner_id TEXT,
        signed TEXT NOT NULL,
        cosigned TEXT,
        made_ms BIGINT NOT NULL
    )
    """,
    "CREATE INDEX ix_agency_posts_agency ON agency_posts (agency)",
    "CREATE INDEX agency_posts_by_age ON agency_posts (made_ms)",
    """
    CREATE TABLE feed_rejudgements (
        id TEXT NOT NULL PRIMARY KEY,
        post_id TEXT NOT NULL,
        post TEXT,
        first_moderator TEXT NOT NULL,
        first_reason TEXT NOT NULL,
        drawn_ms BIGINT NOT NULL,
        open_ms BIGINT,
        second_moderator TEXT,
        second_reason TEXT,
        judged_ms BIGINT
    )
    """,
    "CREATE INDEX ix_feed_rejudgements_post_id ON feed_rejudgements (post_id)",
    "CREATE INDEX feed_rejudgements_by_time ON feed_rejudgements (drawn_ms)",
    "CREATE INDEX feed_rejudgements_open ON feed_rejudgements (open_ms)",
    "CREATE TABLE feed_notices (key TEXT NOT NULL PRIMARY KEY, made_ms BIGINT NOT NULL)",
    """
    CREATE TABLE feed_dangers (
        month TEXT NOT NULL,
        agency TEXT NOT NULL,
        count BIGINT NOT NULL,
        PRIMARY KEY (month, agency)
    )
    """,
)
_FLEET_12 = (
    "DROP INDEX doorbells_by_state",
    "CREATE INDEX doorbells_by_state ON doorbells (revoked_ms, state, state_since_ms)",
)
_COMMANDS_13: Final = (
    """
    CREATE TABLE partition_owners (
        partition BIGINT NOT NULL PRIMARY KEY,
        owner TEXT NOT NULL,
        epoch BIGINT NOT NULL
    )
    """,
)
_INGEST_13: Final = (
    # relay_seq rises within one doorbell, and the table of ids makes an event once only.
    """
    CREATE TABLE event_cursors (
        device TEXT NOT NULL PRIMARY KEY REFERENCES doorbells (device),
        last_seq BIGINT NOT NULL,
        last_relay_seq BIGINT NOT NULL
    )
    """,
    "CREATE INDEX doorbells_by_device ON doorbells (device, revoked_ms, state, cloned_ms)",
    """
    CREATE TABLE event_ids (
        event_id TEXT NOT NULL PRIMARY KEY,
        device TEXT NOT NULL,
        digest TEXT NOT NULL,
        is_kept BOOLEAN NOT NULL,
        received_ms BIGINT NOT NULL
    )
    """,
    """
    INSERT INTO event_ids (event_id, device, digest, is_kept, received_ms)
    SELECT event_id, device, digest, false, received_ms FROM carried_events
    """,
    # As long as ids are remembered. Of these the events themselves say what they are.
    """
    INSERT INTO event_ids (event_id, device, digest, is_kept, received_ms)
    SELECT event_id, device, '', true, received_ms FROM events
    WHERE kind <> 'slot_note'
    AND received_ms > (SELECT max(received_ms) FROM events) - 2592000000
    """,
    "DROP TABLE carried_events",
    "CREATE INDEX event_ids_by_age ON event_ids (received_ms)",
    "ALTER TABLE thumbnails RENAME TO thumbnails_12",
    "DROP INDEX IF EXISTS thumbnails_by_age",
    """
    CREATE TABLE thumbnails (
        event_id TEXT NOT NULL PRIMARY KEY,
        device TEXT NOT NULL,
        received_ms BIGINT NOT NULL,
        sealed TEXT NOT NULL
    )
    """,
    """
    INSERT INTO thumbnails (event_id, device, received_ms, sealed)
    SELECT event_id, device, received_ms, sealed FROM thumbnails_12
    """,
    "DROP TABLE thumbnails_12",
    "CREATE INDEX thumbnails_by_age ON thumbnails (received_ms)",
    # The numbers were one sequence over all doorbells. Now each says when its event was received:
    # below today's they would be taken for too old, and deleted.
    "ALTER TABLE events RENAME TO events_12",
    "DROP INDEX IF EXISTS events_by_device",
    "DROP INDEX IF EXISTS events_by_seq",
    "DROP INDEX IF EXISTS events_by_kind",
    """
    CREATE TABLE events (
        device TEXT NOT NULL,
        relay_seq BIGINT NOT NULL,
        event_id TEXT NOT NULL,
        seq BIGINT NOT NULL,
        kind TEXT NOT NULL,
        time_ms BIGINT NOT NULL,
        is_clock_trusted BOOLEAN NOT NULL DEFAULT true,
        corrected_ms BIGINT,
        received_ms BIGINT NOT NULL,
        credential_id TEXT,
        payload TEXT NOT NULL,
        PRIMARY KEY (device, relay_seq)
    )
    """,
    """
    INSERT INTO events (
        device, relay_seq, event_id, seq, kind, time_ms, is_clock_trusted, corrected_ms,
        received_ms, credential_id, payload
    )
    SELECT device,
        max(received_ms) OVER (PARTITION BY device ORDER BY relay_seq ROWS UNBOUNDED PRECEDING)
            * 256 + row_number() OVER (PARTITION BY device ORDER BY relay_seq),
        event_id, seq, kind, time_ms, is_clock_trusted, corrected_ms,
        received_ms, credential_id, payload
    FROM events_12
    """,
    """
    INSERT INTO event_cursors (device, last_seq, last_relay_seq)
    SELECT device, last_seq, COALESCE(
        (SELECT max(relay_seq) FROM events WHERE events.device = doorbells.device), 0
    )
    FROM doorbells
    """,
    "ALTER TABLE doorbells DROP COLUMN last_seq",
    "CREATE INDEX events_by_seq ON events (device, seq, event_id)",
    "CREATE INDEX events_by_kind ON events (device, kind, seq)",
    # A guest's first event keeps its place: what is before it isn't theirs.
    """
    UPDATE guests SET since_seq = COALESCE(
        (
            SELECT min(events.relay_seq) FROM events_12 JOIN events
            ON events.device = events_12.device AND events.seq = events_12.seq
            AND events.event_id = events_12.event_id
            WHERE events_12.device = guests.device AND events_12.relay_seq >= guests.since_seq
        ),
        (SELECT max(relay_seq) + 1 FROM events WHERE events.device = guests.device),
        since_seq
    )
    """,
    "DROP TABLE events_12",
)
_SIGN_IN_13: Final = (
    """
    CREATE TABLE sign_in_failures (
        pair_hash TEXT NOT NULL PRIMARY KEY,
        failures BIGINT NOT NULL,
        last_ms BIGINT NOT NULL
    )
    """,
    "CREATE INDEX ix_sign_in_failures_last_ms ON sign_in_failures (last_ms)",
)
_PARTITIONS_13: Final = (
    "ALTER TABLE commands ADD COLUMN partition BIGINT NOT NULL DEFAULT -1",
    "CREATE INDEX commands_by_partition ON commands (partition, answered_ms, created_ms)",
    "CREATE INDEX commands_by_device ON commands (device, answered_ms, created_ms)",
)
_PUSHES_13: Final = (
    "ALTER TABLE pushes ADD COLUMN due_ms BIGINT NOT NULL DEFAULT 0",
    "CREATE INDEX pushes_by_due ON pushes (due_ms)",
)
_BESIDE_13: Final = (
    "ALTER TABLE schema_version ADD COLUMN compatible_from INTEGER NOT NULL DEFAULT 13",
    "ALTER TABLE schema_version ADD COLUMN parts_done INTEGER NOT NULL DEFAULT 0",
)
_RETENTION_13: Final = ("ALTER TABLE accounts ADD COLUMN keep_event_days BIGINT",)
_OF_ONE_ACCOUNT_13: Final = (
    # What an account's deletion looks for, and the database before it lets the account go.
    *(
        f"CREATE INDEX ix_{table}_account_id ON {table} (account_id)"
        for table in (
            *("pairings", "joins", "requests", "downloads", "appeals", "outcomes"),
            "agency_posts",
        )
    ),
    "CREATE INDEX ix_silences_browser ON silences (browser)",
)
_UNHEARD_13: Final = ("CREATE INDEX doorbell_health_by_age ON doorbell_health (received_ms)",)
_SHARDS_13: Final = (
    # What was moved to another relay of the operator's is led there.
    "ALTER TABLE doorbells ADD COLUMN shard TEXT",
    "ALTER TABLE claims ADD COLUMN shard TEXT",
    "ALTER TABLE claims ADD COLUMN from_shard TEXT",
)
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
    5: (
        # What was asked before was signed by one officer and stands in no register: no doorbell
        # answers it any more, and what was given for it names an agency that none can check.
        "DROP TABLE downloads",
        "DROP TABLE packages",
        "DROP TABLE requests",
        "DROP TABLE officer_certificates",
        "DROP TABLE agencies",
        """
        CREATE TABLE agreement_texts (
            sha256 TEXT NOT NULL PRIMARY KEY,
            text TEXT NOT NULL
        )
        """,
        """
        CREATE TABLE requests (
            id TEXT NOT NULL PRIMARY KEY,
            agency TEXT NOT NULL,
            account_id TEXT NOT NULL REFERENCES accounts (id),
            cosigner_id TEXT NOT NULL,
            digest TEXT NOT NULL UNIQUE,
            draft TEXT NOT NULL,
            cosigned TEXT,
            state TEXT NOT NULL,
            category TEXT,
            why TEXT,
            drafted_ms BIGINT NOT NULL,
            changed_ms BIGINT NOT NULL
        )
        """,
        "CREATE INDEX ix_requests_agency ON requests (agency)",
        "CREATE INDEX requests_by_state ON requests (state, changed_ms)",
        """
        CREATE TABLE packages (
            package_id TEXT NOT NULL PRIMARY KEY,
            request_id TEXT NOT NULL REFERENCES requests (id),
            device TEXT NOT NULL REFERENCES doorbells (device),
            agency TEXT NOT NULL,
            size_bytes BIGINT NOT NULL,
            part_bytes BIGINT NOT NULL,
            parts TEXT NOT NULL,
            upload_id TEXT,
            object_key TEXT,
            state TEXT NOT NULL,
            at_ms BIGINT NOT NULL
        )
        """,
        "CREATE INDEX ix_packages_request_id ON packages (request_id)",
        "CREATE INDEX ix_packages_device ON packages (device)",
        "CREATE INDEX ix_packages_agency ON packages (agency)",
        """
        CREATE TABLE downloads (
            id TEXT NOT NULL PRIMARY KEY,
            package_id TEXT NOT NULL REFERENCES packages (package_id),
            account_id TEXT NOT NULL REFERENCES accounts (id),
            at_ms BIGINT NOT NULL
        )
        """,
        "CREATE INDEX ix_downloads_package_id ON downloads (package_id)",
        """
        CREATE TABLE log_heads (
            log TEXT NOT NULL PRIMARY KEY,
            added BIGINT NOT NULL,
            size BIGINT NOT NULL,
            published_size BIGINT NOT NULL,
            published TEXT,
            published_ms BIGINT NOT NULL,
            holder TEXT,
            held_until_ms BIGINT NOT NULL
        )
        """,
        """
        CREATE TABLE log_entries (
            log TEXT NOT NULL,
            number BIGINT NOT NULL,
            key TEXT NOT NULL,
            entry TEXT NOT NULL,
            leaf_hash TEXT NOT NULL,
            not_before_ms BIGINT NOT NULL,
            leaf_index BIGINT,
            PRIMARY KEY (log, number),
            UNIQUE (log, key),
            UNIQUE (log, leaf_index)
        )
        """,
        """
        CREATE TABLE log_checkpoints (
            log TEXT NOT NULL,
            size BIGINT NOT NULL,
            root TEXT NOT NULL,
            stamp BIGINT,
            witnessed TEXT,
            PRIMARY KEY (log, size),
            UNIQUE (log, stamp)
        )
        """,
        """
        CREATE TABLE release_commitments (
            commitment TEXT NOT NULL PRIMARY KEY,
            device TEXT NOT NULL REFERENCES doorbells (device),
            number BIGINT NOT NULL
        )
        """,
        """
        CREATE TABLE slot_commitments (
            slot BIGINT NOT NULL,
            device TEXT NOT NULL REFERENCES doorbells (device),
            commitment TEXT NOT NULL,
            PRIMARY KEY (slot, device)
        )
        """,
        """
        CREATE TABLE slot_trees (
            slot BIGINT NOT NULL PRIMARY KEY,
            leaves TEXT NOT NULL,
            number BIGINT NOT NULL
        )
        """,
        """
        CREATE TABLE received_counts (
            agency TEXT NOT NULL,
            quarter TEXT NOT NULL,
            count BIGINT NOT NULL,
            PRIMARY KEY (agency, quarter)
        )
        """,
        """
        CREATE TABLE refusal_counts (
            quarter TEXT NOT NULL,
            device TEXT NOT NULL REFERENCES doorbells (device),
            counts TEXT NOT NULL,
            PRIMARY KEY (quarter, device)
        )
        """,
        """
        CREATE TABLE deletions (
            package_id TEXT NOT NULL PRIMARY KEY REFERENCES packages (package_id),
            agency TEXT NOT NULL,
            asked_ms BIGINT NOT NULL,
            answer_by_ms BIGINT NOT NULL,
            answer TEXT
        )
        """,
        "CREATE INDEX ix_deletions_agency ON deletions (agency)",
    ),
    6: TO_VERSION_6,
    7: (
        # A doorbell from before refuses an empty one, and says that it is to be enrolled anew.
        "ALTER TABLE doorbells ADD COLUMN evidence_certificate_pem TEXT NOT NULL DEFAULT ''",
        # A package belongs to a logged release, of which the relay remembers who committed to it.
        "DROP TABLE release_commitments",
        """
        CREATE TABLE release_commitments (
            commitment TEXT NOT NULL,
            device TEXT NOT NULL REFERENCES doorbells (device),
            number BIGINT NOT NULL,
            committed_ms BIGINT NOT NULL,
            told_ms BIGINT,
            PRIMARY KEY (commitment, device)
        )
        """,
        """
        CREATE INDEX release_commitments_by_device
        ON release_commitments (device, committed_ms)
        """,
        "ALTER TABLE packages ADD COLUMN commitment TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE packages ADD COLUMN announced_ms BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE packages ADD COLUMN arrived_ms BIGINT",
        # Those that came before belong to none, and aren't taken any more; what arrived stays.
        "UPDATE packages SET commitment = package_id, announced_ms = at_ms",
        "UPDATE packages SET arrived_ms = at_ms WHERE state IN ('delivered', 'downloaded')",
        "UPDATE packages SET state = 'erased' WHERE state IN ('announced', 'uploading')",
        "CREATE UNIQUE INDEX packages_by_commitment ON packages (commitment)",
        "CREATE INDEX packages_by_day ON packages (device, announced_ms)",
        "ALTER TABLE pairings ADD COLUMN answers TEXT",
        # What has another form now, or none. A zone had its name in clear, and stood as a text.
        "DELETE FROM events WHERE kind IN ('pairing_answer', 'package_ready')",
        """
        DELETE FROM events WHERE kind = 'motion' AND payload LIKE '%"zones":["%'
        """,
        "DELETE FROM commands WHERE kind = 'slot_logged'",
        "DELETE FROM slot_trees",
        # A doorbell's name is its owners', and sealed.
        "ALTER TABLE doorbells DROP COLUMN name",
        "CREATE INDEX doorbells_by_state ON doorbells (revoked_ms, state)",
        "ALTER TABLE commands ADD COLUMN about TEXT",
        "CREATE UNIQUE INDEX commands_by_about ON commands (device, kind, about)",
    ),
    8: (
        # Certificates were for a year, and renewed by a new claim only.
        "ALTER TABLE doorbells ADD COLUMN certificate_ends_ms BIGINT NOT NULL DEFAULT 0",
        "UPDATE doorbells SET certificate_ends_ms = enrolled_ms + 31536000000",
        "ALTER TABLE doorbells ADD COLUMN cloned_ms BIGINT",
        """
        CREATE INDEX doorbells_by_certificate ON doorbells (revoked_ms, certificate_ends_ms)
        """,
        "CREATE INDEX doorbells_by_clone ON doorbells (revoked_ms, cloned_ms)",
        "ALTER TABLE claims ADD COLUMN replaces TEXT",
        "ALTER TABLE claims ADD COLUMN replays BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE claims ADD COLUMN replayed_ms BIGINT",
        """
        CREATE TABLE doorbell_boots (
            device TEXT NOT NULL PRIMARY KEY REFERENCES doorbells (device),
            history TEXT NOT NULL
        )
        """,
    ),
    9: (
        """
        CREATE TABLE silences (
            device TEXT NOT NULL REFERENCES doorbells (device),
            browser TEXT NOT NULL,
            event_id TEXT NOT NULL,
            after_minutes BIGINT NOT NULL,
            encrypted TEXT NOT NULL,
            due_ms BIGINT,
            PRIMARY KEY (device, browser)
        )
        """,
        "CREATE INDEX silences_by_due ON silences (due_ms)",
    ),
    10: (
        """
        CREATE TABLE guests (
            device TEXT NOT NULL REFERENCES doorbells (device),
            browser TEXT NOT NULL,
            account_id TEXT NOT NULL REFERENCES accounts (id),
            what TEXT NOT NULL,
            since_seq BIGINT NOT NULL,
            until_ms BIGINT NOT NULL,
            PRIMARY KEY (device, browser)
        )
        """,
        "CREATE INDEX ix_guests_account_id ON guests (account_id)",
        "CREATE INDEX guests_by_end ON guests (until_ms)",
        "ALTER TABLE sessions ADD COLUMN browser_id TEXT",
    ),
    11: (
        """
        CREATE TABLE door_notices (
            device TEXT NOT NULL PRIMARY KEY REFERENCES doorbells (device),
            notice_id TEXT NOT NULL UNIQUE,
            notice TEXT NOT NULL,
            signature TEXT NOT NULL,
            received_ms BIGINT NOT NULL
        )
        """,
        "CREATE INDEX door_notices_by_age ON door_notices (received_ms)",
    ),
    12: (
        *_THEFT_MAP_12,
        *_CREDIT_12,
        *_FEED_12,
        *_FEED_PUSHES_12,
        *_FEED_BATCHES_12,
        *_FEED_LEGAL_12,
        *_FEED_REVIEW_12,
        *_PRESETS_12,
        *_LOOKS_12,
        *_FLEET_12,
    ),
    13: (
        *_BESIDE_13,
        *_COMMANDS_13,
        *_SIGN_IN_13,
        *_INGEST_13,
        *_PARTITIONS_13,
        *_PUSHES_13,
        *_RETENTION_13,
        *_OF_ONE_ACCOUNT_13,
        *_SHARDS_13,
        *_UNHEARD_13,
    ),
}
"""By the version that it leads to."""

HISTORY: Final = History(
    steps={
        version: Step(statements=statements, compatible_from=version)
        for version, statements in STEPS.items()
    },
    metadata=metadata,
)
"""All steps; those from 14 on say which relays may run beside them."""

_STATE_SINCE = 13
"""The version from which on a database says more of itself than its version."""
_COLUMNS = {
    "sqlite": """
        SELECT made.name, columns.name
        FROM sqlite_schema AS made JOIN pragma_table_info(made.name) AS columns
        WHERE made.type = 'table'
    """,
    "postgresql": """
        SELECT table_name, column_name FROM information_schema.columns
        WHERE table_schema = current_schema()
    """,
}
"""All tables' columns in one query, which costs a tenth of SQLAlchemy's reflection."""


def read_state(connection: Connection) -> SchemaState:
    """Return what the database says of its schema; StoreError if that can't be."""
    version = int(connection.execute(select(schema_version.c.version)).scalar_one())
    if version < min(STEPS) - 1:
        raise StoreError(f"the database has schema version {version}, which never was one")
    if version < _STATE_SINCE:
        return SchemaState(version=version, compatible_from=version, parts_done=0)
    row = connection.execute(select(schema_version)).one()
    return SchemaState(
        version=row.version, compatible_from=row.compatible_from, parts_done=row.parts_done
    )


def migrate(connection: Connection, history: History, state: SchemaState, target: int) -> None:
    """Run the steps from a state to the version `target` in this transaction.

    On PostgreSQL the events are then partitioned by month, which no plain step can do.
    """
    done = state.parts_done
    for version in range(state.version + 1, target + 1):
        step = history.steps[version]
        for part in step.parts[done:]:
            if isinstance(part, Index):
                connection.exec_driver_sql(f"DROP INDEX IF EXISTS {part.name}")
                connection.exec_driver_sql(part.statement(is_concurrent=False))
            else:
                connection.exec_driver_sql(part)
        if version == event_months.SINCE:
            event_months.partition(connection)
        done = 0
        connection.execute(update(schema_version).values(version=version))
    if target >= _STATE_SINCE:
        floor = history.steps[target].compatible_from
        connection.execute(update(schema_version).values(compatible_from=floor, parts_done=0))


def check_tables(connection: Connection, history: History) -> None:
    """Raise StoreError unless the database has all tables and columns of this version.

    A Doorward between two releases may have written another form under the same number.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for table_name, column in connection.exec_driver_sql(_COLUMNS[connection.dialect.name]):
        found[table_name].add(column)
    for table in history.metadata.sorted_tables:
        missing = set(table.columns.keys()) - found[table.name]
        if missing:
            raise StoreError(
                f"the database has schema version {history.version}, but not {table.name}."
                f"{min(missing)}: a Doorward between two releases made it. Restore a backup, or "
                "begin anew (doorward-relay init)"
            )
