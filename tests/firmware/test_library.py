"""The library keeps clips and facts through restarts, and lets go of what is old."""

import sqlite3
import threading
from pathlib import Path

import pytest

from firmware.clips.facts_store import FactsStore, KnownRequest, WaitingStatement
from firmware.clips.library import DAY_MS, SCHEMA_VERSION, Database, Library
from firmware.clips.record import ClipEnd, ClipRecord, ClipStart
from firmware.errors import StoreError
from firmware.protocol.encoding import new_id, sha256_hex
from firmware.protocol.footage import ClipTrigger, Gop, SignedManifest
from firmware.protocol.grants import SignedStatement
from firmware.protocol.passkeys import Assertion
from firmware.protocol.requests import SignedCertificate, SignedRequest
from tests.fakes.recording import recording_rig

NOW_MS = 1_790_000_000_000
ASSERTION = Assertion(
    credential_id="AA", authenticator_data="AA", client_data_json="AA", signature="AA"
)


@pytest.fixture
def database(tmp_path: Path) -> Database:
    return Database(tmp_path / "library.sqlite3")


def library_of(database: Database, *, keep_days: int = 30, keep_bytes: int = 10**9) -> Library:
    clips = database.path.parent / "clips"
    return Library(database, clips, keep_days=keep_days, keep_bytes=keep_bytes)


def start_of(started_ms: int) -> ClipStart:
    trigger = ClipTrigger(event_id=new_id(), kind="pressed", at_90k=90_000)
    return ClipStart(
        clip_id=new_id(),
        boot_id=new_id(),
        started_ms=started_ms,
        is_clock_trusted=True,
        width=96,
        height=64,
        pre_roll_90k=90_000,
        triggers=[trigger],
    )


def keep(library: Library, started_ms: int, size_bytes: int = 100) -> ClipRecord:
    start = start_of(started_ms)
    library.save_open(start)
    library.path_of(start.clip_id).write_bytes(bytes(size_bytes))
    gop = Gop(first_pts_90k=0, unit_count=1, leaf="0" * 64)
    end = ClipEnd(duration_90k=900_000, gops=[gop], ended="complete", size_bytes=size_bytes)
    return library.finish(start.clip_id, end, SignedManifest(manifest="{}", signature="AA"))


def test_a_finished_clip_is_found_again_after_a_restart(database: Database) -> None:
    record = keep(library_of(database), NOW_MS)
    database.close()
    again = library_of(Database(database.path)).find(record.clip_id)
    assert again == record
    assert (record.duration_ms, record.pre_roll_ms) == (10_000, 1_000)
    assert record.manifest_digest == sha256_hex(b"{}")


def test_a_clip_that_is_being_recorded_is_not_among_the_finished(database: Database) -> None:
    library = library_of(database)
    start = start_of(NOW_MS)
    library.save_open(start)
    assert library.finished() == []
    assert library.find(start.clip_id) is None
    assert library.open_starts() == [start]


def test_clips_are_found_by_the_time_they_touch(database: Database) -> None:
    library = library_of(database)
    early, late = keep(library, NOW_MS), keep(library, NOW_MS + 60_000)
    assert library.finished(from_ms=NOW_MS + 9_000, to_ms=NOW_MS + 11_000) == [early]
    assert library.finished(from_ms=NOW_MS + 11_000) == [late]


def test_retention_removes_what_is_too_old(database: Database) -> None:
    library = library_of(database, keep_days=30)
    old, young = keep(library, NOW_MS - 31 * DAY_MS), keep(library, NOW_MS - 29 * DAY_MS)
    assert library.apply_retention(NOW_MS) == [old.clip_id]
    assert library.finished() == [young]
    assert not old.path.exists()


def test_retention_by_bytes_removes_the_oldest_first(database: Database) -> None:
    library = library_of(database, keep_bytes=250)
    first, *rest = [keep(library, NOW_MS + hour * 3_600_000) for hour in range(3)]
    assert library.apply_retention(NOW_MS) == [first.clip_id]
    assert library.finished() == rest


def test_a_held_clip_outlives_days_and_bytes(database: Database) -> None:
    library = library_of(database, keep_days=1, keep_bytes=1)
    held = keep(library, NOW_MS - 90 * DAY_MS)
    library.set_held(held.clip_id, is_held=True)
    keep(library, NOW_MS)
    library.apply_retention(NOW_MS)
    assert [clip.clip_id for clip in library.finished()] == [held.clip_id]


def test_a_clip_that_is_being_recorded_is_never_removed(database: Database) -> None:
    library = library_of(database, keep_bytes=1)
    library.save_open(start_of(NOW_MS - 90 * DAY_MS))
    assert library.apply_retention(NOW_MS) == []


def test_a_library_of_a_newer_doorward_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "library.sqlite3"
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(StoreError, match="Install the newer Doorward again"):
        Database(path)


def test_a_file_that_is_no_database_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "library.sqlite3"
    path.write_bytes(b"something else entirely" * 100)
    with pytest.raises(StoreError, match=r"library\.sqlite3"):
        Database(path)


def test_commits_are_synced_and_readers_do_not_wait(database: Database) -> None:
    with database.read() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_reader_goes_on_while_another_thread_is_in_a_transaction(database: Database) -> None:
    library = library_of(database)
    keep(library, NOW_MS)
    counts: list[int] = []
    with database.write() as connection:
        connection.execute("DELETE FROM clips")
        reader = threading.Thread(target=lambda: counts.append(library.count()))
        reader.start()
        reader.join(timeout=2)
    assert counts == [1]


def test_a_statement_can_be_spent_once(database: Database) -> None:
    facts = FactsStore(database)
    assert facts.spend("a" * 64, NOW_MS)
    assert not facts.spend("a" * 64, NOW_MS)
    database.close()
    assert FactsStore(Database(database.path)).spent() == {"a" * 64}


def waiting(digest: str, expires_ms: int = NOW_MS + 1000) -> WaitingStatement:
    return WaitingStatement(
        digest=digest,
        kind="grant",
        statement=SignedStatement(statement="{}", assertion=ASSERTION),
        received_ms=NOW_MS,
        expires_ms=expires_ms,
        state="waiting",
    )


def test_a_waiting_statement_is_kept_until_it_expires(database: Database) -> None:
    facts = FactsStore(database)
    statement = waiting("a" * 64)
    assert facts.add_waiting(statement)
    assert not facts.add_waiting(statement)
    assert facts.waiting(NOW_MS) == [statement]
    assert facts.waiting(NOW_MS + 1000) == []


def test_only_one_of_two_decisions_about_a_statement_counts(database: Database) -> None:
    facts = FactsStore(database)
    facts.add_waiting(waiting("a" * 64))
    assert facts.move_statement("a" * 64, from_state="waiting", to="refused")
    assert not facts.move_statement("a" * 64, from_state="waiting", to="confirmed")
    assert [s.digest for s in facts.statements_in("refused")] == ["a" * 64]


def test_a_request_that_comes_twice_is_known_once(database: Database) -> None:
    facts = FactsStore(database)
    signed = SignedRequest(
        request="{}",
        assertion=ASSERTION,
        officer=SignedCertificate(certificate="{}", signature="AA"),
    )
    request = KnownRequest(request_id=new_id(), digest="b" * 64, signed=signed, received_ms=NOW_MS)
    assert facts.add_request(request)
    assert not facts.add_request(request)
    assert facts.requests() == [request]
    facts.forget_requests_before(NOW_MS + 1)
    assert facts.requests() == []


async def test_a_clip_whose_event_was_not_accepted_is_told_after_the_next_start(
    tmp_path: Path,
) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(1)
        rig.press()
        await rig.film(4)
        clip = await rig.next_clip()
        assert [untold.clip_id for untold in rig.library.untold()] == [clip.clip_id]
        rig.library.mark_told(clip.clip_id)
        assert rig.library.untold() == []
