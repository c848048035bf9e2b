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

# All that owners can decide; and how a release was confirmed and logged before it left.
_V4 = """
CREATE TABLE statements_of_4 (
    digest            TEXT PRIMARY KEY,
    kind              TEXT NOT NULL,             -- the tag of the statement's terms
    statement         BLOB NOT NULL,             -- grants.SignedStatement, checked once
    received_ms       INTEGER NOT NULL,
    expires_ms        INTEGER NOT NULL,
    state             TEXT NOT NULL CHECK (state IN ('waiting', 'confirmed', 'refused', 'done')),
    way               TEXT,                      -- consent.Confirmation.way, once confirmed
    confirmed_ms      INTEGER,
    approval          BLOB,                      -- grants.SignedStatement of an approver's key
    release_record    BLOB,                      -- releases.ReleaseOpening: committed to
    release_proof     BLOB                       -- tlog proof of it, once it is logged
) STRICT;
INSERT INTO statements_of_4
    SELECT digest, kind, statement, received_ms, expires_ms, state, NULL, NULL, NULL, NULL, NULL
    FROM waiting_statements;
DROP TABLE waiting_statements;
ALTER TABLE statements_of_4 RENAME TO waiting_statements;
UPDATE waiting_statements SET state = 'refused' WHERE state = 'confirmed';
CREATE TABLE household (
    one           INTEGER PRIMARY KEY CHECK (one = 1),
    settings_json BLOB,                          -- decisions.OwnerSettings
    recovery_json BLOB                           -- decisions.RecoveryKeys
) STRICT;
INSERT INTO household VALUES (1, NULL, NULL);
CREATE TABLE refused_agencies (agency TEXT PRIMARY KEY) STRICT;
CREATE TABLE declined_requests (
    request_digest TEXT PRIMARY KEY,
    declined_ms    INTEGER NOT NULL
) STRICT;
CREATE TABLE approvers (
    key_id        TEXT PRIMARY KEY,              -- the key's own credential id
    credential_id TEXT NOT NULL,                 -- whose it is
    name          TEXT NOT NULL,
    key_json      BLOB NOT NULL                  -- passkeys.PasskeyKey
) STRICT;
CREATE TABLE holds (
    digest   TEXT PRIMARY KEY,                   -- of the statement
    from_ms  INTEGER NOT NULL,
    to_ms    INTEGER NOT NULL,
    until_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE revoked_grants (
    grant_digest TEXT PRIMARY KEY,
    revoked_ms   INTEGER NOT NULL
) STRICT;
CREATE TABLE refusals (
    quarter TEXT NOT NULL,                       -- custody.Quarter
    reason  TEXT NOT NULL,
    count   INTEGER NOT NULL,
    PRIMARY KEY (quarter, reason)
) STRICT;
"""

# Requests are read in the register, not received; and what is committed to in each slot.
_V5 = """
DROP TABLE known_requests;
CREATE TABLE told_requests (
    digest      TEXT NOT NULL,                   -- of the request, as grants name it
    browser     TEXT NOT NULL,                   -- browsers.BrowserId
    is_reminder INTEGER NOT NULL,
    told_ms     INTEGER NOT NULL,
    PRIMARY KEY (digest, browser, is_reminder)
) STRICT;
CREATE TABLE slots (
    slot        INTEGER PRIMARY KEY,             -- custody.SlotNumber
    record_json BLOB NOT NULL,                   -- custody.SlotRecord: its digest is told
    event_id    TEXT NOT NULL,                   -- by which it is told
    logged_json BLOB                             -- commands.SlotLogged, once it is in the log
) STRICT;
CREATE TABLE slot_clips (
    slot            INTEGER NOT NULL,
    clip_id         TEXT NOT NULL,
    manifest_digest TEXT NOT NULL,
    salt            BLOB NOT NULL,               -- 32 random bytes
    PRIMARY KEY (slot, clip_id)
) STRICT;
CREATE INDEX slot_clips_by_clip ON slot_clips (clip_id);
CREATE TABLE slot_requests (
    slot        INTEGER NOT NULL,                -- in whose notes it is told
    digest      TEXT NOT NULL,
    browser     TEXT NOT NULL,
    is_reminder INTEGER NOT NULL,
    PRIMARY KEY (slot, digest, browser)
) STRICT;
"""

# New owners by the printed recovery code.
_V6 = """
CREATE TABLE key_changes (
    changed_ms  INTEGER NOT NULL,
    record_json BLOB NOT NULL                    -- custody.KeyChangeRecord: its digest is told
) STRICT;
"""

# What must be told once; which refusals were told; a recovery that is under way.
_V7 = """
CREATE TABLE promises (
    event_id     TEXT PRIMARY KEY,               -- under which it is told
    promise_json BLOB NOT NULL,                  -- promise_store.Promise
    holder       TEXT                            -- a statement's digest: not due until it is done
) STRICT;
CREATE TABLE refused_statements (
    digest     TEXT PRIMARY KEY,                 -- its owner was told
    refused_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE recoveries (
    one        INTEGER PRIMARY KEY CHECK (one = 1),
    begun_json BLOB NOT NULL                     -- recovering.Begun
) STRICT;
"""

# What owners' browsers set without a passkey; who was told of the doorbell's own file.
_V8 = """
ALTER TABLE household ADD COLUMN settings_ms INTEGER NOT NULL DEFAULT 0;    -- since when
ALTER TABLE household ADD COLUMN preferences_ms INTEGER NOT NULL DEFAULT 0;
ALTER TABLE household ADD COLUMN preferences_json BLOB;  -- decisions.Preferences
ALTER TABLE household ADD COLUMN told_file TEXT;         -- its digest
"""

# What owners delete, with a day to take it back; and what they keep.
_V9 = """
ALTER TABLE clips ADD COLUMN deleted_until_ms INTEGER; -- when to erase what was deleted, or NULL
CREATE INDEX clips_deleted ON clips (deleted_until_ms) WHERE deleted_until_ms IS NOT NULL;
CREATE TABLE kept_clips (
    clip_id       TEXT NOT NULL,
    credential_id TEXT NOT NULL,                 -- the owner who keeps it
    PRIMARY KEY (clip_id, credential_id)
) STRICT;
CREATE INDEX kept_clips_by_owner ON kept_clips (credential_id);
"""

# Emergency requests that were pushed, by the slot that was told with them.
_V10 = """
CREATE TABLE pushed_emergencies (
    digest TEXT PRIMARY KEY,                     -- of the request
    slot   INTEGER NOT NULL
) STRICT;
"""

# The notice for passers-by.
_V11 = """
CREATE TABLE door_notice (
    one         INTEGER PRIMARY KEY CHECK (one = 1),
    notice_id   TEXT NOT NULL,                   -- door_notices.notice_id_of its key
    key         BLOB NOT NULL,                   -- its P-256 private key (PKCS #8, DER)
    since_ms    INTEGER NOT NULL,
    told_ms     INTEGER NOT NULL,                -- when it was told last
    told_digest TEXT NOT NULL                    -- of what it said then, without its times
) STRICT;
"""

MIGRATIONS: tuple[str, ...] = (_V1, _V2, _V3, _V4, _V5, _V6, _V7, _V8, _V9, _V10, _V11)
SCHEMA_VERSION = len(MIGRATIONS)


def statements_of(step: str) -> list[str]:
    """Return a step's statements one by one (none of them holds a semicolon of its own)."""
    return [statement for statement in step.split(";") if statement.strip()]
