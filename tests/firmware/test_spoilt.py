"""firmware.decisions.recovery: what storage damaged keeps nothing back, never leaves, is told."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from firmware.protocol.commands import PackageArrived, Refused, UploadTicket
from firmware.protocol.decisions import Decline, Revoke
from firmware.protocol.encoding import decode
from firmware.protocol.events import (
    PackageReady,
    PackageUploaded,
    PackageWithdrawn,
    UploadedPart,
)
from firmware.protocol.grants import SignedStatement
from firmware.protocol.notes import StatementDone, StatementRefused
from firmware.protocol.releases import package_id_of
from tests.fakes.intake import DeskRig, DyingOutgoing, PowerCut, desk_rig


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path) as rig:
        yield rig


def spoil_row(rig: DeskRig, digest: str, data: bytes) -> None:
    with rig.database.write() as connection:
        connection.execute(
            "UPDATE waiting_statements SET statement = ? WHERE digest = ?", (data, digest)
        )


def spoil_package(rig: DeskRig, digest: str) -> None:
    path = rig.folder / "outgoing" / f"{package_id_of(digest)}.json"
    path.write_bytes(b"\0" * 64)


def of_another_version(signed: bytes) -> bytes:
    """Return it with a text that only a later Doorward can read."""
    return msgspec.structs.replace(decode(SignedStatement, signed), statement='{"v":2}').encode()


@pytest.mark.parametrize("is_zeroes", [True, False], ids=["zeroes", "another version"])
async def test_a_confirmed_statement_that_cannot_be_read_is_refused_and_all_else_goes_on(
    rig, is_zeroes
):
    """Seen to fail (the doorbell didn't start) with the WireError let out of `statements_in`."""
    signed = rig.sign()
    lost = await rig.confirm(rig.desk(), signed)
    spoil_row(rig, lost, b"\0" * 64 if is_zeroes else of_another_version(signed))
    rig.now_ms += 1
    desk = rig.desk()
    await desk.resume()
    refused = rig.notes()[-1]
    assert isinstance(refused, StatementRefused)
    assert refused.statement_digest == lost
    assert "sign it again" in refused.detail
    assert rig.store.state_of(lost) == "refused"
    await rig.release(desk)
    await rig.desk().resume()
    await desk.end_what_is_over()
    told = [note for note in rig.notes() if isinstance(note, StatementRefused)]
    assert told == [refused], "once"


async def test_one_that_was_sealed_by_then_leaves_nothing(rig):
    digest = await rig.confirm(rig.desk(), rig.sign())
    with pytest.raises(PowerCut):
        await rig.log_release(
            rig.desk(outgoing=DyingOutgoing(rig.folder / "outgoing", is_kept=True))
        )
    spoil_row(rig, digest, b"")
    await rig.desk().resume()
    assert rig.kept() == {}
    assert rig.told_of(PackageReady) == []


async def test_a_waiting_statement_that_cannot_be_read_keeps_no_other_back(rig):
    """Seen to fail (nothing could be judged any more) with the WireError let out of `waiting`."""
    desk = rig.desk()
    spoil_row(rig, await rig.ask(desk, rig.sign()), b"")
    await desk.on_statement(rig.seal(rig.sign(Decline(request_digest="ab" * 32))))
    assert isinstance(rig.notes()[-1], StatementDone)


async def test_a_grant_that_cannot_be_read_is_taken_back_all_the_same(rig):
    desk = rig.desk()
    digest = await rig.release(desk)
    spoil_row(rig, digest, b"")
    await desk.on_statement(rig.seal(rig.sign(Revoke(grant_digest=digest))))
    assert rig.kept() == {}
    assert rig.told_of(PackageWithdrawn) == [PackageWithdrawn(package_id=package_id_of(digest))]


async def test_a_damaged_package_never_leaves_and_its_owner_is_told_once(rig):
    """Seen to fail (the doorbell didn't start) with the error let out of outgoing.py."""
    damaged = await rig.release(rig.desk())
    rig.now_ms += 1
    other = await rig.release(rig.desk())
    spoil_package(rig, damaged)
    rig.told.clear()
    desk = rig.desk()
    await desk.resume()
    await rig.uploads.resume([])
    await desk.end_what_is_over()
    await rig.desk().resume()
    assert [one.package_id for one in rig.told_of(PackageReady)] == [package_id_of(other)]
    told = [note for note in rig.notes() if isinstance(note, StatementRefused)]
    assert [note.statement_digest for note in told] == [damaged]
    assert "take back what was" in told[0].detail
    ticket = UploadTicket(package_id=package_id_of(damaged), parts=[])
    assert isinstance(await rig.uploads.on_ticket(ticket), Refused)


async def test_one_that_is_wholly_in_the_bucket_is_no_loss_and_that_is_told_again(rig):
    """Seen to fail (its owner hears that it is spoilt) with all damaged ones told of."""
    digest = await rig.release(rig.desk())
    package_id = package_id_of(digest)
    part = UploadedPart(number=1, etag="e", sha256="f" * 64)
    rig.outgoing.remember(package_id, "u", {1: part})
    spoil_package(rig, digest)
    desk = rig.desk()
    await desk.resume()
    await rig.uploads.resume([])
    assert not any(isinstance(note, StatementRefused) for note in rig.notes())
    assert rig.told_of(PackageUploaded) == [PackageUploaded(package_id=package_id, parts=[part])]


@pytest.mark.parametrize("how", ["taken back", "arrived"])
async def test_it_is_deleted_like_any_other(rig, how):
    desk = rig.desk()
    digest = await rig.release(desk)
    spoil_package(rig, digest)
    if how == "arrived":
        await rig.uploads.on_arrived(PackageArrived(package_id=package_id_of(digest)))
    else:
        await desk.on_statement(rig.seal(rig.sign(Revoke(grant_digest=digest))))
        assert len(rig.told_of(PackageWithdrawn)) == 1
    assert list((rig.folder / "outgoing").iterdir()) == []


async def test_one_that_was_not_announced_yet_is_sealed_again(rig):
    digest = await rig.confirm(rig.desk(), rig.sign())
    with pytest.raises(PowerCut):
        await rig.log_release(
            rig.desk(outgoing=DyingOutgoing(rig.folder / "outgoing", is_kept=True))
        )
    spoil_package(rig, digest)
    await rig.desk().resume()
    (ready,) = rig.told_of(PackageReady)
    assert rig.outgoing.announced(package_id_of(digest)) == ready
    assert rig.outgoing.damaged() == frozenset()
