"""A doorbell's index of version 1 is brought up to date, and loses nothing."""

import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from firmware.clips.mp4 import fragmented_mp4
from firmware.protocol.encoding import canonical, new_id, sha256_hex
from firmware.protocol.footage import GopHasher
from firmware.store.schema import SCHEMA_VERSION
from tests.fakes.footage import HEIGHT, WIDTH, TinyCamera, clip_units
from tests.fakes.recorder import Shelves

SCHEMA_OF_0_1 = """
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
PRAGMA user_version = 1;
"""
NOW_MS = 1_790_000_000_000


@dataclass
class OldClip:
    clip_id: str
    leaves: list[str]
    mp4: Path
    digest: str


class OldDoorbell:
    """The data folder of Doorward 0.1."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "clips").mkdir()
        self._connection = sqlite3.connect(folder / "library.sqlite3")
        self._connection.executescript(SCHEMA_OF_0_1)

    def film(self, started_ms: int, *, is_open: bool = False, is_held: bool = False) -> OldClip:
        clip_id, event_id = new_id(), new_id()
        units = clip_units(TinyCamera().film(2))
        hasher = GopHasher()
        for unit in units:
            hasher.add(unit.pts_90k, unit.is_key, unit.nal_units)
        leaves = [gop.leaf for gop in hasher.finish()]
        mp4 = self.folder / "clips" / f"{clip_id}.mp4"
        mp4.write_bytes(fragmented_mp4(units, width=WIDTH, height=HEIGHT))
        start = {
            "clip_id": clip_id,
            "boot_id": new_id(),
            "started_ms": started_ms,
            "is_clock_trusted": True,
            "width": WIDTH,
            "height": HEIGHT,
            "pre_roll_90k": 90_000,
            "triggers": [{"event_id": event_id, "kind": "pressed", "at_90k": 90_000}],
        }
        manifest = canonical({"v": 1, "gops": [{"leaf": leaf} for leaf in leaves]})
        signed = canonical({"manifest": manifest.decode(), "signature": "AA"})
        digest = sha256_hex(manifest)
        state = "open" if is_open else "finished"
        row = (clip_id, state, canonical(start), started_ms, 2000, 1000, 9, 0, is_held, 1, event_id)
        rest = (None, None) if is_open else (digest, signed)
        self._connection.execute(
            "INSERT INTO clips VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", (*row, *rest)
        )
        self._connection.execute("INSERT OR IGNORE INTO spent_statements VALUES ('d', 1)")
        self._connection.commit()
        return OldClip(clip_id, leaves, mp4, digest)


@pytest.fixture
def old(tmp_path: Path) -> OldDoorbell:
    return OldDoorbell(tmp_path)


def test_the_old_index_is_brought_up_to_date_and_loses_nothing(
    tmp_path: Path, old: OldDoorbell
) -> None:
    late = old.film(NOW_MS, is_held=True)
    early = old.film(NOW_MS - 60_000)
    shelves = Shelves(tmp_path)
    found = shelves.library.in_order()
    assert [clip.clip_id for clip in found] == [early.clip_id, late.clip_id]
    assert [clip.counter for clip in found] == [1, 2]
    assert [clip.is_held for clip in found] == [False, True]
    assert [clip.told_ms for clip in found] == [NOW_MS - 60_000, NOW_MS]
    assert shelves.library.next_counter() == 3
    with shelves.database.read() as connection:
        assert connection.execute("SELECT digest FROM spent_statements").fetchall() == [("d",)]
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
