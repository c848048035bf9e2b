"""firmware.outbox.queue: durable, in order, and no sequence number twice."""

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from contextlib import closing
from pathlib import Path

import pytest

from firmware.errors import EventRefused, StoreError
from firmware.outbox.queue import MAX_EVENT_BYTES, MAX_TOLD_ONCE, MAX_UNDATED, Outbox, Undated
from firmware.protocol.encoding import b64u, new_id
from firmware.protocol.events import Event, Note, Pressed
from tests.fakes.waiting import in_time

DEVICE = "a" * 20
SCHEMA_1 = """
CREATE TABLE last_given (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    seq INTEGER NOT NULL
);
INSERT INTO last_given VALUES (1, 0);
CREATE TABLE event (
    seq INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    document BLOB NOT NULL
);
PRAGMA user_version = 1;
"""
"""As the first version made it."""


def press(outbox: Outbox, time_ms: int = 1000) -> Event:
    return outbox.append(Pressed(), time_ms=time_ms, is_clock_trusted=True)


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    return Outbox(tmp_path / "outbox.sqlite3", DEVICE)


def test_events_wait_in_order_with_their_own_time(outbox: Outbox) -> None:
    events = [press(outbox, time_ms) for time_ms in (30, 10, 20)]
    assert outbox.pending(10) == events
    assert [event.seq for event in events] == [1, 2, 3]
    assert [event.time_ms for event in events] == [30, 10, 20]


def test_pending_gives_at_most_what_was_asked_for_and_only_later_ones(outbox: Outbox) -> None:
    events = [press(outbox) for _ in range(5)]
    assert outbox.pending(2, after_seq=1) == events[1:3]


def test_forgets_what_has_a_receipt_and_ignores_unknown_ids(outbox: Outbox) -> None:
    events = [press(outbox) for _ in range(3)]
    assert outbox.forget([events[1].id, new_id()]) == 1
    assert outbox.pending(10) == [events[0], events[2]]


def test_events_and_the_sequence_survive_a_restart(tmp_path: Path) -> None:
    first = Outbox(tmp_path / "outbox.sqlite3", DEVICE)
    kept, told = press(first), press(first)
    first.forget([told.id])
    first.close()
    second = Outbox(tmp_path / "outbox.sqlite3", DEVICE)
    assert second.pending(10) == [kept]
    assert press(second).seq == 3


def test_a_sequence_number_is_never_reused_when_all_is_told(tmp_path: Path) -> None:
    first = Outbox(tmp_path / "outbox.sqlite3", DEVICE)
    first.forget([press(first).id])
    first.close()
    assert press(Outbox(tmp_path / "outbox.sqlite3", DEVICE)).seq == 2


def test_refuses_an_event_too_large_for_the_wire_before_it_takes_a_number(
    outbox: Outbox,
) -> None:
    note = Note(credential_id="x", browser="b" * 20, sealed=b64u(bytes(MAX_EVENT_BYTES)))
    with pytest.raises(EventRefused) as caught:
        outbox.append(note, time_ms=1, is_clock_trusted=True)
    assert caught.value.size_bytes > MAX_EVENT_BYTES
    assert outbox.pending(10) == []
    assert press(outbox).seq == 1


def test_what_was_told_once_is_remembered_after_its_receipt_and_a_restart(tmp_path: Path) -> None:
    """The relay refuses another event under an id that it knows, for ever."""
    path, event_id = tmp_path / "outbox.sqlite3", new_id()
    first = Outbox(path, DEVICE)
    assert not first.has_event(event_id)
    first.append(Pressed(), time_ms=1, is_clock_trusted=True, event_id=event_id, is_once=True)
    first.forget([event_id])
    first.close()
    second = Outbox(path, DEVICE)
    assert second.has_event(event_id)
    assert not second.has_event(press(second).id)


def test_it_remembers_a_bounded_number_of_them(outbox: Outbox) -> None:
    ids = [new_id() for _ in range(MAX_TOLD_ONCE + 2)]
    for event_id in ids:
        outbox.append(Pressed(), time_ms=1, is_clock_trusted=True, event_id=event_id, is_once=True)
    assert [outbox.has_event(event_id) for event_id in ids[:3]] == [False, False, True]
    assert outbox.has_event(ids[-1])


def test_the_file_is_the_doorbells_alone(tmp_path: Path) -> None:
    Outbox(tmp_path / "outbox.sqlite3", DEVICE)
    assert stat.S_IMODE((tmp_path / "outbox.sqlite3").stat().st_mode) == 0o600


def test_refuses_the_file_of_a_newer_version(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite3"
    Outbox(path, DEVICE).close()
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 9")
    with pytest.raises(StoreError, match="version 9"):
        Outbox(path, DEVICE)


def test_refuses_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite3"
    path.write_bytes(b"nothing like a database" * 100)
    with pytest.raises(StoreError):
        Outbox(path, DEVICE)


def test_an_outbox_of_the_first_version_is_taken_over_with_its_events(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite3"
    event = Event(
        id=new_id(), device=DEVICE, seq=7, time_ms=5, is_clock_trusted=True, body=Pressed()
    )
    db = sqlite3.connect(path)
    db.executescript(SCHEMA_1)
    with db:
        db.execute("UPDATE last_given SET seq = 7")
        db.execute("INSERT INTO event VALUES (7, ?, ?)", (event.id, event.encode()))
    db.close()
    outbox = Outbox(path, DEVICE)
    assert outbox.pending(10) == [event]
    assert press(outbox).seq == 8
    assert outbox.undated("") == []


def press_undated(outbox: Outbox, monotonic_ms: int) -> Event:
    return outbox.append(Pressed(), time_ms=100, is_clock_trusted=False, monotonic_ms=monotonic_ms)


def test_an_untrusted_time_is_kept_with_its_monotonic_time_beyond_the_receipt(
    tmp_path: Path,
) -> None:
    path = tmp_path / "outbox.sqlite3"
    first = Outbox(path, DEVICE, boot="one")
    first.forget([press_undated(first, 30).id])
    press(first)
    first.close()
    second = Outbox(path, DEVICE, boot="two")
    press_undated(second, 4)
    assert second.undated("one") == [Undated(seq=1, time_ms=100, monotonic_ms=30)]
    assert second.undated("two") == [Undated(seq=3, time_ms=100, monotonic_ms=4)]


def test_what_was_dated_is_no_longer_kept(outbox: Outbox) -> None:
    for monotonic_ms in (1, 2, 3):
        press_undated(outbox, monotonic_ms)
    outbox.forget_undated(2)
    assert [event.seq for event in outbox.undated("")] == [3]


def test_a_doorbell_that_never_learns_the_time_keeps_a_bounded_number(
    outbox: Outbox, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "outbox.sqlite3") as db:
        db.executemany(
            "INSERT INTO undated VALUES (?, '', 1, 1)",
            [(-number,) for number in range(MAX_UNDATED)],
        )
    press_undated(outbox, 9)
    kept = outbox.undated("")
    assert len(kept) == MAX_UNDATED
    assert kept[-1].seq == 1


async def test_an_append_in_another_thread_wakes_the_loop(outbox: Outbox) -> None:
    waiting = asyncio.create_task(outbox.wait_beyond(0))
    await asyncio.sleep(0.02)
    assert not waiting.done()
    thread = threading.Thread(target=press, args=(outbox,))
    thread.start()
    await in_time(waiting)
    thread.join()


async def test_does_not_wait_for_what_is_already_there(outbox: Outbox) -> None:
    press(outbox)
    waiting = asyncio.create_task(outbox.wait_beyond(0))
    await asyncio.sleep(0)
    assert waiting.done()


def test_an_event_of_another_version_holds_up_no_other(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite3"
    outbox = Outbox(path, DEVICE)
    first, strange, last = press(outbox), press(outbox), press(outbox)
    outbox.close()
    with closing(sqlite3.connect(path)) as db, db:
        old = b'{"body":{"type":"note","credential_id":"AQ","sealed":"AQ"}}'
        db.execute("UPDATE event SET document = ? WHERE seq = ?", (old, strange.seq))
    outbox = Outbox(path, DEVICE)
    assert outbox.pending(10) == [first, last]
    assert press(outbox).seq == last.seq + 1


def test_accepted_events_survive_kill_9(tmp_path: Path) -> None:
    program = textwrap.dedent("""
        import sys
        from pathlib import Path
        from firmware.outbox.queue import Outbox
        from firmware.protocol.events import Pressed
        outbox = Outbox(Path(sys.argv[1]), "a" * 20)
        while True:
            event = outbox.append(Pressed(), time_ms=1, is_clock_trusted=False)
            print(event.seq, event.id, flush=True)
    """)
    path = tmp_path / "outbox.sqlite3"
    accepted: list[str] = []
    for lines in (7, 23):
        child = subprocess.Popen(
            [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
        )
        assert child.stdout is not None
        accepted += [child.stdout.readline() for _ in range(lines)]
        os.kill(child.pid, signal.SIGKILL)
        accepted += child.stdout.readlines()
        child.wait()
    events = Outbox(path, DEVICE).pending(100_000)
    known = {f"{event.seq} {event.id}\n" for event in events}
    assert {line for line in accepted if line.endswith("\n")} <= known
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
