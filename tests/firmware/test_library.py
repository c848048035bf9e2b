"""The library keeps clips and facts through restarts, and lets go of what is old."""

import sqlite3
import threading
from pathlib import Path

import msgspec
import pytest

from firmware.errors import StoreError
from firmware.protocol.decisions import Decline
from firmware.protocol.deletions import check_deletion
from firmware.protocol.encoding import WireError, new_id, sha256_hex
from firmware.protocol.grants import SignedStatement, Statement
from firmware.protocol.passkeys import Assertion
from firmware.store.database import Database
from firmware.store.schema import SCHEMA_VERSION
from firmware.store.statements import StatementStore, WaitingStatement
from tests.fakes.listed_clips import SIGNED, end_of, keep, start_of
from tests.fakes.recorder import DEVICE, Shelves, recording_rig
from tests.fakes.waiting import PATIENCE_S

NOW_MS = 1_790_000_000_000
ASSERTION = Assertion(
    credential_id="AA", authenticator_data="AA", client_data_json="AA", signature="AA"
)

STATEMENT = Statement(
    device=DEVICE, nonce=new_id(), not_after_ms=NOW_MS, terms=Decline(request_digest="b" * 64)
)


@pytest.fixture
def shelves(tmp_path: Path) -> Shelves:
    return Shelves(tmp_path)


@pytest.fixture
def database(shelves: Shelves) -> Database:
    return shelves.database


def test_a_finished_clip_is_found_again_after_a_restart(tmp_path: Path, shelves: Shelves) -> None:
    record = keep(shelves, NOW_MS)
    shelves.database.close()
    again = Shelves(tmp_path).library.find(record.clip_id)
    assert again == record
    assert (record.duration_ms, record.pre_roll_ms) == (10_000, 1_000)
    assert record.manifest_digest == sha256_hex(record.signed_manifest.manifest.encode())


def test_finishing_a_clip_twice_changes_nothing(shelves: Shelves) -> None:
    start = start_of(shelves, NOW_MS)
    shelves.library.save_open(start)
    record = shelves.library.finish(start, end_of(), SIGNED)
    assert shelves.library.finish(start, end_of(size_bytes=7), SIGNED) == record


def test_a_clip_that_is_being_recorded_is_not_among_the_finished(shelves: Shelves) -> None:
    start = start_of(shelves, NOW_MS)
    shelves.library.save_open(start)
    assert shelves.library.finished() == []
    assert shelves.library.find(start.clip_id) is None
    assert shelves.library.open_starts() == [start]


def test_clips_are_found_by_the_time_they_touch(shelves: Shelves) -> None:
    early, late = keep(shelves, NOW_MS), keep(shelves, NOW_MS + 60_000)
    found = shelves.library.finished(from_ms=NOW_MS + 9_000, to_ms=NOW_MS + 11_000)
    assert found == [early]
    assert shelves.library.finished(from_ms=NOW_MS + 11_000) == [late]


def test_a_clips_number_is_never_used_again(tmp_path: Path, shelves: Shelves) -> None:
    last = [keep(shelves, NOW_MS) for _ in range(3)][-1]
    shelves.library.remove([last.clip_id], "owner")
    shelves.database.close()
    assert Shelves(tmp_path).library.next_counter() == last.counter + 1


def test_a_removal_leaves_a_signed_record_and_no_file(shelves: Shelves) -> None:
    record = keep(shelves, NOW_MS)
    shelves.library.picture_path_of(record.clip_id).write_bytes(b"picture")
    shelves.library.remove([record.clip_id], "owner")
    (signed,) = shelves.library.deletions()
    deletion = check_deletion(signed, shelves.signer.spki)
    assert (deletion.clip_id, deletion.counter) == (record.clip_id, record.counter)
    assert deletion.manifest_digest == record.manifest_digest
    assert (deletion.why, deletion.device) == ("owner", DEVICE)
    assert deletion.deleted_ms == shelves.clock.wall_ms()
    assert list(shelves.library.clips_dir.iterdir()) == []
    assert shelves.library.find(record.clip_id) is None


def test_an_altered_deletion_record_is_found_out(shelves: Shelves) -> None:
    record = keep(shelves, NOW_MS)
    shelves.library.remove([record.clip_id], "age")
    (signed,) = shelves.library.deletions()
    forged = msgspec.structs.replace(signed, deletion=signed.deletion.replace('"age"', '"owner"'))
    with pytest.raises(WireError, match="isn't signed by this doorbell"):
        check_deletion(forged, shelves.signer.spki)


def test_a_clip_of_an_unset_clock_is_dated_once_the_clock_is_right(shelves: Shelves) -> None:
    wrong, right = keep(shelves, 5_000, is_clock_trusted=False), keep(shelves, NOW_MS)
    shelves.library.date_boot(shelves.boot_id, NOW_MS)
    dated = shelves.library.find(wrong.clip_id)
    assert dated is not None
    assert (dated.started_ms, dated.told_ms) == (NOW_MS + 5_000, 5_000)
    assert dated.dating == "dated"
    assert dated.signed_manifest == wrong.signed_manifest
    assert shelves.library.find(right.clip_id) == right


def test_a_clip_that_was_open_when_the_clock_became_right_is_dated_as_well(
    tmp_path: Path, shelves: Shelves
) -> None:
    start = start_of(shelves, 5_000, is_clock_trusted=False)
    shelves.library.save_open(start)
    shelves.library.date_boot(shelves.boot_id, NOW_MS)
    shelves.database.close()  # even if it is finished after a restart
    record = Shelves(tmp_path).library.finish(start, end_of(), SIGNED)
    assert (record.started_ms, record.told_ms) == (NOW_MS + 5_000, 5_000)


def test_a_clip_from_after_the_clock_was_set_is_not_shifted_again(shelves: Shelves) -> None:
    shelves.library.date_boot(shelves.boot_id, NOW_MS)
    record = keep(shelves, NOW_MS + 60_000, is_clock_trusted=False)
    assert record.started_ms == NOW_MS + 60_000


def test_a_clip_that_began_before_a_step_of_the_wrong_clock_is_dated_by_its_own_difference(
    shelves: Shelves,
) -> None:
    before = keep(shelves, 5_000, is_clock_trusted=False)
    later = start_of(shelves, 70_005_000, is_clock_trusted=False)
    later = msgspec.structs.replace(later, clock_difference_ms=70_000_000)
    after = shelves.library.finish(later, end_of(), SIGNED)
    shelves.library.date_boot(shelves.boot_id, NOW_MS)
    dated = [shelves.library.find(clip.clip_id) for clip in (before, after)]
    assert [clip and clip.started_ms for clip in dated] == [NOW_MS + 5_000] * 2


def test_a_clip_from_after_trust_was_lost_again_waits_for_the_next_dating(shelves: Shelves) -> None:
    shelves.library.date_boot(shelves.boot_id, NOW_MS)
    record = keep(shelves, 5_000, is_clock_trusted=False)
    assert record.dating == "unknown"
    open_one = start_of(shelves, 6_000, is_clock_trusted=False)
    shelves.library.save_open(open_one)
    shelves.library.date_boot(shelves.boot_id, NOW_MS + 1)
    dated = shelves.library.find(record.clip_id)
    assert dated is not None
    assert (dated.started_ms, dated.dating) == (NOW_MS + 5_001, "dated")
    assert shelves.library.finish(open_one, end_of(), SIGNED).started_ms == NOW_MS + 6_001


def test_a_clip_of_another_run_is_not_dated_by_this_ones_clock(shelves: Shelves) -> None:
    other = keep(shelves, 5_000, is_clock_trusted=False, boot_id=new_id())
    shelves.library.date_boot(shelves.boot_id, NOW_MS)
    assert shelves.library.find(other.clip_id) == other


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


def test_an_index_that_is_gone_is_the_cards_trouble_and_never_begun_anew(
    database: Database, shelves: Shelves
) -> None:
    away = database.path.with_name("away")
    database.path.rename(away)
    errors: list[BaseException] = []

    def count() -> None:
        try:
            shelves.library.count()
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=count)
    thread.start()
    thread.join()
    assert len(errors) == 1
    assert not database.path.exists()


def test_commits_are_synced_and_readers_do_not_wait(database: Database) -> None:
    with database.read() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_reader_goes_on_while_another_thread_is_in_a_transaction(
    database: Database, shelves: Shelves
) -> None:
    keep(shelves, NOW_MS)
    counts: list[int] = []
    with database.write() as connection:
        connection.execute("DELETE FROM clips")
        reader = threading.Thread(target=lambda: counts.append(shelves.library.count()))
        reader.start()
        reader.join(PATIENCE_S)
    assert counts == [1]


def test_a_statement_can_be_spent_once(database: Database) -> None:
    facts = StatementStore(database)
    assert facts.spend("a" * 64, NOW_MS)
    assert not facts.spend("a" * 64, NOW_MS)
    database.close()
    assert StatementStore(Database(database.path)).spent() == {"a" * 64}


def waiting(digest: str, expires_ms: int = NOW_MS + 1000) -> WaitingStatement:
    return WaitingStatement(
        digest=digest,
        kind="grant",
        statement=SignedStatement(statement=STATEMENT.encode().decode(), assertion=ASSERTION),
        received_ms=NOW_MS,
        expires_ms=expires_ms,
        state="waiting",
    )


def test_a_waiting_statement_is_kept_until_it_expires(database: Database) -> None:
    facts = StatementStore(database)
    statement = waiting("a" * 64)
    assert facts.add_waiting(statement)
    assert not facts.add_waiting(statement)
    assert facts.waiting(NOW_MS) == [statement]
    assert facts.waiting(NOW_MS + 1000) == []


def test_only_one_of_two_decisions_about_a_statement_counts(database: Database) -> None:
    facts = StatementStore(database)
    facts.add_waiting(waiting("a" * 64))
    assert facts.move_statement("a" * 64, from_state="waiting", to="refused")
    assert not facts.move_statement("a" * 64, from_state="waiting", to="confirmed")
    assert [s.digest for s in facts.statements_in("refused")] == ["a" * 64]


async def test_a_clip_whose_event_was_not_accepted_is_told_after_the_next_start(
    tmp_path: Path,
) -> None:
    async with recording_rig(tmp_path) as rig:
        await rig.film(1)
        rig.press()
        await rig.film(4)
        clip = await rig.next_clip()
        assert [untold.clip_id for untold in rig.library.unpublished()] == [clip.clip_id]
        rig.library.mark_published(clip)
        assert rig.library.unpublished() == []


def test_the_list_goes_on_after_newer_clips(shelves: Shelves) -> None:
    ids = [keep(shelves, NOW_MS + hour * 3_600_000).clip_id for hour in range(5)]
    pages = [[one.clip_id for one in shelves.library.newest(2, skip)] for skip in (0, 2, 4, 6)]
    assert pages == [ids[:2:-1], [ids[2], ids[1]], ids[:1], []]
