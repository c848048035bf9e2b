"""A grant that its owner takes back leaves no more, whatever card and relay do meanwhile.

The desk, the uploads and the folder of packages are the real ones; the relay tries a ticket at
every turn.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from firmware.decisions.uploads import Standing, Uploads
from firmware.outbox.outgoing import Outgoing
from firmware.protocol.commands import Accepted, PartTicket, Refused, ReplyBody, UploadTicket
from firmware.protocol.decisions import Revoke
from firmware.protocol.events import PackageReady, PackageWithdrawn
from firmware.protocol.notes import StatementDone, StatementRefused
from firmware.protocol.releases import package_id_of
from tests.fakes.buckets import PartBucket, run_part_bucket
from tests.fakes.intake import DeskRig, PowerCut, desk_rig, digest_of
from tests.fakes.waiting import PATIENCE_S


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path) as rig:
        yield rig


@pytest.fixture
def bucket() -> Iterator[PartBucket]:
    with run_part_bucket() as bucket:
        yield bucket


def ticket_for(ready: PackageReady, origin: str) -> UploadTicket:
    parts = [
        PartTicket(number=number, sha256=digest, url=f"{origin}/p?partNumber={number}&uploadId=u")
        for number, digest in enumerate(ready.part_sha256, start=1)
    ]
    return UploadTicket(package_id=ready.package_id, parts=parts)


def read_only(*_: object, **_named: object) -> None:
    raise OSError(30, "read-only file system")


async def power_cut(_: object) -> None:
    raise PowerCut


def failing_once(real: Callable[[str], None]) -> Callable[[str], None]:
    """Return what fails the first time, as a card does that is going to break."""
    failed: list[str] = []

    def discard(package_id: str) -> None:
        if not failed:
            failed.append(package_id)
            raise OSError(5, "input/output error")
        real(package_id)

    return discard


async def try_ticket(rig: DeskRig, ready: PackageReady) -> ReplyBody:
    return await rig.uploads.on_ticket(ticket_for(ready, rig.bucket_origin))


@pytest.mark.parametrize("is_all_failing", [False, True], ids=["its row", "all"])
async def test_a_card_that_keeps_nothing_of_it_sends_nothing_either(rig, is_all_failing):
    """Seen to succeed (the ticket is taken, nothing is withdrawn) with only a refusal told; and
    nobody told where `begin` lets out that the card doesn't forget.
    """
    desk = rig.desk()
    digest = await rig.release(desk)
    (ready,) = rig.told_of(PackageReady)
    rig.household.revoke = read_only
    if is_all_failing:
        rig.outgoing.discard = read_only
        rig.store.add_waiting = rig.store.move_statement = read_only
        rig.store.forget_statement = rig.household.note_refusal = read_only
    await desk.on_statement(rig.seal(rig.sign(Revoke(grant_digest=digest))))
    assert rig.told_of(PackageWithdrawn) == [PackageWithdrawn(package_id=ready.package_id)]
    assert isinstance(await try_ticket(rig, ready), Refused)
    refused = rig.notes()[-1]
    assert isinstance(refused, StatementRefused)
    assert "take it back again later" in refused.detail
    for part in (rig.household, rig.outgoing, rig.store):
        for name in [name for name, value in vars(part).items() if value is read_only]:
            delattr(part, name)
    rig.now_ms += 1000
    await desk.on_statement(rig.seal(rig.sign(Revoke(grant_digest=digest))))
    assert isinstance(rig.notes()[-1], StatementDone)
    assert digest in rig.household.revoked()
    assert rig.kept() == {}


async def test_what_waits_for_the_log_is_taken_back_without_the_card_too(rig):
    """Seen to succeed with `Ending.of` not asked in fulfilling.py."""
    desk = rig.desk()
    digest = await rig.confirm(desk, rig.sign())
    rig.household.revoke = rig.store.move_statement = read_only
    await desk.on_statement(rig.seal(rig.sign(Revoke(grant_digest=digest))))
    with contextlib.suppress(OSError):  # nor does it keep that this is refused now
        await rig.log_release(desk)
    assert rig.kept() == {}
    assert rig.told_of(PackageReady) == []


async def test_an_upload_under_way_ends_before_the_card_is_asked(rig):
    """Seen to succeed (the line is open still) without `Ending.take_back` in `_decide`."""
    with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as silent:
        rig.bucket_origin = f"http://127.0.0.1:{silent.getsockname()[1]}"
        desk = rig.desk()
        digest = await rig.release(desk)
        (ready,) = rig.told_of(PackageReady)
        assert isinstance(await try_ticket(rig, ready), Accepted)
        connection, _ = await asyncio.to_thread(silent.accept)
        connection.settimeout(PATIENCE_S)
        ended: list[bool] = []
        revoke = rig.household.revoke

        def slow(grant_digest: str, now_ms: int) -> None:
            while connection.recv(1 << 16):
                pass
            ended.append(True)
            revoke(grant_digest, now_ms)

        rig.household.revoke = slow
        with contextlib.closing(connection):
            await desk.on_statement(rig.seal(rig.sign(Revoke(grant_digest=digest))))
        assert ended == [True]


@pytest.mark.parametrize("when", ["a minute later", "at the next start"])
async def test_what_could_not_be_deleted_at_once_is_deleted_later(rig, when):
    """Seen to succeed (kept and sent for ever) with every refusal forgotten in `begin`."""
    desk = rig.desk()
    digest = await rig.release(desk)
    (ready,) = rig.told_of(PackageReady)
    rig.outgoing.discard = failing_once(rig.outgoing.discard)
    taking_back = rig.sign(Revoke(grant_digest=digest))
    await desk.on_statement(rig.seal(taking_back))
    assert digest in rig.household.revoked()
    assert rig.store.state_of(digest_of(taking_back)) == "confirmed"
    assert rig.told_of(PackageWithdrawn) == [PackageWithdrawn(package_id=ready.package_id)]
    assert isinstance(await try_ticket(rig, ready), Refused)
    if when == "at the next start":
        desk = rig.desk()
        assert isinstance(await try_ticket(rig, ready), Refused), "by what the card kept"
        await desk.resume()
    else:
        await desk.end_what_is_over()
    assert rig.kept() == {}
    assert rig.store.state_of(digest_of(taking_back)) == "done"
    done = [note for note in rig.notes() if isinstance(note, StatementDone)]
    assert [note.statement_digest for note in done] == [digest_of(taking_back)]
    assert not any(isinstance(note, StatementRefused) for note in rig.notes())


async def test_what_is_taken_back_only_after_a_start_is_withdrawn_although_it_is_not_deleted(rig):
    """The power went when it was begun. Seen to fail (nothing withdrawn) with FAIL in its place."""
    digest = await rig.release(rig.desk())
    (ready,) = rig.told_of(PackageReady)
    desk = rig.desk()
    rig.deciding.carry_out = power_cut
    taking_back = rig.sign(Revoke(grant_digest=digest))
    with pytest.raises(PowerCut):
        await desk.on_statement(rig.seal(taking_back))
    desk = rig.desk()
    rig.outgoing.discard = failing_once(rig.outgoing.discard)
    await desk.resume()
    assert digest in rig.household.revoked()
    assert rig.told_of(PackageWithdrawn) == [PackageWithdrawn(package_id=ready.package_id)]
    assert rig.store.state_of(digest_of(taking_back)) == "confirmed"
    await desk.end_what_is_over()
    assert rig.kept() == {}
    assert rig.store.state_of(digest_of(taking_back)) == "done"


async def test_its_owner_hears_that_it_is_taken_back_also_where_the_card_keeps_that_alone(rig):
    """Neither that it was begun, nor what is deleted. Seen to fail ("the card doesn't take it",
    and kept until the next start) with what was not begun told as refused.
    """
    desk = rig.desk()
    digest = await rig.release(desk)
    await rig.uploads.resume([])
    rig.store.add_waiting = read_only
    rig.outgoing.discard = failing_once(rig.outgoing.discard)
    taking_back = rig.sign(Revoke(grant_digest=digest))
    await desk.on_statement(rig.seal(taking_back))
    assert digest in rig.household.revoked()
    assert rig.kept()
    done = rig.notes()[-1]
    assert isinstance(done, StatementDone)
    assert done.statement_digest == digest_of(taking_back)
    assert not any(isinstance(note, StatementRefused) for note in rig.notes())
    await rig.uploads.go_on()
    assert rig.kept() == {}
    assert len(rig.told_of(PackageWithdrawn)) == 1


async def test_a_start_deletes_what_was_taken_back_and_withdraws_it(rig):
    """By the row alone. Seen to succeed (announced again) with `resume` not asking."""
    digest = await rig.release(rig.desk())
    (ready,) = rig.told_of(PackageReady)
    rig.household.revoke(digest, rig.now_ms)
    rig.told.clear()
    rig.desk()
    assert isinstance(await try_ticket(rig, ready), Refused)
    await rig.uploads.resume([])
    assert rig.told == [PackageWithdrawn(package_id=package_id_of(digest))]
    assert rig.kept() == {}


async def test_a_ticket_while_it_is_deleted_sends_nothing(rig, bucket):
    """Seen to succeed (sent after the owner heard that it was taken back) without `_ended`."""
    rig.bucket_origin = bucket.origin
    desk = rig.desk()
    digest = await rig.release(desk)
    (ready,) = rig.told_of(PackageReady)
    discard, is_deleting, go_on = rig.outgoing.discard, threading.Event(), threading.Event()

    def slow(package_id: str) -> None:
        is_deleting.set()
        go_on.wait(PATIENCE_S)
        discard(package_id)

    rig.outgoing.discard = slow
    stop = asyncio.create_task(rig.uploads.stop(package_id_of(digest)))
    await asyncio.to_thread(is_deleting.wait, PATIENCE_S)
    answer = await try_ticket(rig, ready)
    go_on.set()
    await stop
    assert isinstance(answer, Refused)
    assert bucket.puts == []


async def test_nor_does_a_ticket_that_came_just_before(rig, bucket):
    """Seen to succeed with `_ended` asked only before the card is."""
    await rig.release(rig.desk())
    (ready,) = rig.told_of(PackageReady)
    is_asked, go_on = threading.Event(), threading.Event()

    class Slow:
        def standing(self, _package_id: str) -> Standing:
            is_asked.set()
            go_on.wait(PATIENCE_S)
            return "released"

    outgoing = Outgoing(rig.folder / "outgoing")
    uploads = Uploads(uploader=rig.uploader, outgoing=outgoing, events=rig.events, standings=Slow())
    answer = asyncio.create_task(uploads.on_ticket(ticket_for(ready, bucket.origin)))
    await asyncio.to_thread(is_asked.wait, PATIENCE_S)
    uploads.end(ready.package_id)
    go_on.set()
    assert isinstance(await answer, Refused)
    assert bucket.puts == []
