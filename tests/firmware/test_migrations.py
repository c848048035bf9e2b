"""A doorbell of Doorward 0.1 keeps its clips: its index is brought up to date, its files sealed."""

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path

import pytest

from firmware.clips.crash_recovery import close_open_clips
from firmware.clips.mp4 import fragmented_mp4
from firmware.clips.record import ClipRecord
from firmware.protocol.encoding import canonical, new_id, sha256_hex
from firmware.protocol.footage import GopHasher, check_manifest
from firmware.store.schema import SCHEMA_VERSION
from tests.fakes.footage import HEIGHT, WIDTH, TinyCamera, clip_units
from tests.fakes.recording import Shelves

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


def first_start(shelves: Shelves) -> list[ClipRecord]:
    return close_open_clips(shelves.library, shelves.vault, shelves.manifest_signer)


def leaves_of(shelves: Shelves, record: ClipRecord) -> list[str]:
    hasher = GopHasher()
    for unit in shelves.playback.units(record):
        hasher.add(unit.pts_90k, unit.is_key, unit.nal_units)
    return [gop.leaf for gop in hasher.finish()]


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


def test_an_old_clip_is_sealed_with_the_same_footage_and_told_again(
    tmp_path: Path, old: OldDoorbell
) -> None:
    clip = old.film(NOW_MS)
    shelves = Shelves(tmp_path)
    first_start(shelves)
    (record,) = shelves.library.untold()
    manifest = check_manifest(record.signed_manifest, shelves.signer.spki)
    assert [gop.leaf for gop in manifest.gops] == clip.leaves == leaves_of(shelves, record)
    assert manifest.ended == "complete"
    assert record.manifest_digest != clip.digest
    assert not clip.mp4.exists()
    assert b"ftyp" not in record.path.read_bytes()


def test_an_old_clip_that_was_open_is_sealed_as_cut_short(tmp_path: Path, old: OldDoorbell) -> None:
    clip = old.film(NOW_MS, is_open=True)
    clip.mp4.write_bytes(clip.mp4.read_bytes()[:-100])  # its last fragment is torn
    shelves = Shelves(tmp_path)
    first_start(shelves)
    (record,) = shelves.library.finished()
    assert record.is_cut_short
    assert leaves_of(shelves, record)[0] == clip.leaves[0]


@pytest.mark.parametrize("step", ["half sealed", "sealed without its row", "row without removal"])
def test_sealing_goes_on_after_a_crash_at_any_step(
    tmp_path: Path, old: OldDoorbell, step: str
) -> None:
    clip = old.film(NOW_MS)
    mp4 = clip.mp4.read_bytes()
    index = (tmp_path / "library.sqlite3").read_bytes()
    first = Shelves(tmp_path)
    first_start(first)
    first.database.close()
    clip.mp4.write_bytes(mp4)
    sealed = tmp_path / "clips" / f"{clip.clip_id}.clip"
    if step == "half sealed":
        sealed.write_bytes(sealed.read_bytes()[:-200])
    if step != "row without removal":
        (tmp_path / "library.sqlite3").write_bytes(index)
    again = Shelves(tmp_path, signer=first.signer)
    first_start(again)
    (record,) = again.library.finished()
    assert leaves_of(again, record) == clip.leaves
    assert not clip.mp4.exists()


def test_an_old_clip_that_was_altered_is_not_vouched_for(tmp_path: Path, old: OldDoorbell) -> None:
    clip, other = old.film(NOW_MS), old.film(NOW_MS + 1)
    longer = fragmented_mp4(clip_units(TinyCamera().film(3)), width=WIDTH, height=HEIGHT)
    clip.mp4.write_bytes(longer)
    shelves = Shelves(tmp_path)
    first_start(shelves)
    assert [record.clip_id for record in shelves.library.finished()] == [other.clip_id]
    assert clip.mp4.exists()
    (deletion,) = shelves.library.deletions()
    assert json.loads(deletion.deletion)["why"] == "unreadable"
