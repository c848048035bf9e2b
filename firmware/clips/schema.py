"""library.sqlite3: its tables, as the steps that led to them.

A database of schema N gets the steps from N on, each in a transaction with its number
(`PRAGMA user_version`). A step that was released is never changed; a new one is added.
"""

from firmware.protocol.footage import NO_MASK_DIGEST

_V1 = """
CREATE TABLE clips (
    clip_id          TEXT PRIMARY KEY,
    state            TEXT NOT NULL CHECK (state IN ('open', 'finished')),
    start_json       BLOB NOT NULL,              -- record.ClipStart
    started_ms       INTEGER NOT NULL,
    duration_ms      INTEGER NOT NULL DEFAULT 0,
    pre_roll_ms      INTEGER NOT NULL,
    size_bytes       INTEGER NOT NULL DEFAULT 0,
    is_cut_short     INTEGER NOT NULL DEFAULT 0,
    is_held          INTEGER NOT NULL DEFAULT 0, -- never removed by retention
    is_told          INTEGER NOT NULL DEFAULT 0, -- its event lies in the outbox, or did
    trigger_event_id TEXT NOT NULL,              -- the first trigger
    manifest_digest  TEXT,                       -- SHA-256 of the manifest's canonical text
    manifest_json    BLOB                        -- footage.SignedManifest
) STRICT;
CREATE INDEX clips_by_start ON clips (started_ms);
CREATE TABLE spent_statements (
    digest   TEXT PRIMARY KEY,
    spent_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE waiting_statements (
    digest      TEXT PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind IN ('grant', 'add_owner')),
    statement   BLOB NOT NULL,                   -- grants.SignedStatement, checked once
    received_ms INTEGER NOT NULL,
    expires_ms  INTEGER NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('waiting', 'confirmed', 'refused', 'done'))
) STRICT;
CREATE TABLE known_requests (
    request_id  TEXT PRIMARY KEY,
    digest      TEXT NOT NULL UNIQUE,
    signed_json BLOB NOT NULL,                   -- requests.SignedRequest
    received_ms INTEGER NOT NULL
) STRICT;
"""

# Sealed clips, each with a counter; times that can be corrected; what was deleted.
_V2 = f"""
ALTER TABLE clips ADD COLUMN counter INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clips ADD COLUMN boot_id TEXT NOT NULL DEFAULT '';
ALTER TABLE clips ADD COLUMN told_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE clips ADD COLUMN dating TEXT NOT NULL DEFAULT 'trusted'
    CHECK (dating IN ('trusted', 'unknown', 'dated', 'latest'));
UPDATE clips SET
    told_ms = started_ms,
    boot_id = json_extract(CAST(start_json AS TEXT), '$.boot_id'),
    dating = iif(
        json_extract(CAST(start_json AS TEXT), '$.is_clock_trusted'), 'trusted', 'unknown'),
    counter = (SELECT count(*) FROM clips AS older
               WHERE (older.started_ms, older.clip_id) <= (clips.started_ms, clips.clip_id));
UPDATE clips SET start_json = CAST(json_set(CAST(start_json AS TEXT),
    '$.counter', counter, '$.mask_digest', '{NO_MASK_DIGEST}') AS BLOB);
CREATE INDEX clips_by_counter ON clips (counter);
CREATE TABLE highest_counter (
    one   INTEGER PRIMARY KEY CHECK (one = 1),
    value INTEGER NOT NULL                       -- of any clip that there ever was
) STRICT;
INSERT INTO highest_counter SELECT 1, coalesce(max(counter), 0) FROM clips;
CREATE TABLE dated_boots (
    boot_id       TEXT PRIMARY KEY,
    difference_ms INTEGER NOT NULL,              -- the right time − monotonic time
    to_counter    INTEGER NOT NULL               -- the last clip that this dates
) STRICT;
CREATE TABLE deletions (
    clip_id     TEXT PRIMARY KEY,
    counter     INTEGER NOT NULL,
    why         TEXT NOT NULL,
    signed_json BLOB NOT NULL                    -- protocol.deletions.SignedDeletion
) STRICT;
CREATE INDEX deletions_by_counter ON deletions (counter);
"""  # noqa: S608 (a constant)

# Statements that let a browser in. SQLite changes no CHECK, so the table is made anew.
_V3 = """
CREATE TABLE statements_of_3 (
    digest      TEXT PRIMARY KEY,
    kind        TEXT NOT NULL CHECK (kind IN ('grant', 'add_owner', 'session')),
    statement   BLOB NOT NULL,                   -- grants.SignedStatement, checked once
    received_ms INTEGER NOT NULL,
    expires_ms  INTEGER NOT NULL,
    state       TEXT NOT NULL CHECK (state IN ('waiting', 'confirmed', 'refused', 'done'))
) STRICT;
INSERT INTO statements_of_3 SELECT * FROM waiting_statements;
DROP TABLE waiting_statements;
ALTER TABLE statements_of_3 RENAME TO waiting_statements;
"""

MIGRATIONS: tuple[str, ...] = (_V1, _V2, _V3)
SCHEMA_VERSION = len(MIGRATIONS)


def statements_of(step: str) -> list[str]:
    """Return a step's statements one by one (none of them holds a semicolon of its own)."""
    return [statement for statement in step.split(";") if statement.strip()]
