"""Sealed packages in a backup: they come back, but for what was erased since."""

from pathlib import Path

import pytest
from sqlalchemy import insert

from firmware.protocol.custody import (
    CustodyBody,
    CustodyLeaf,
    DeletionAnswer,
    DeletionAnsweredLeaf,
    DeletionAskedLeaf,
    DownloadLeaf,
    ErasedLeaf,
    SignedDeletionAnswer,
    package_commitment,
)
from firmware.protocol.encoding import new_id
from relay.backup.errors import BackupError
from relay.base.clock import SystemClock
from relay.config.loader import load
from relay.custody.entries import ANSWER_WITHIN_MS, CustodyEntries, answered_key
from relay.custody.log_entries import LogEntries
from relay.store import custody, packages
from relay.store import logs as rows
from relay.store.database import Database
from relay.store.schema import accounts, doorbells, requests
from tests.fakes.lost_relay import LosableRelay, make_relay
from tests.fakes.waiting import PATIENCE_S


@pytest.fixture
async def relay(tmp_path: Path) -> LosableRelay:
    return await make_relay(tmp_path)


async def put_package(
    relay: LosableRelay, data: bytes = b"sealed", *, state: str = "delivered"
) -> str:
    """Have a package delivered, with all that it hangs on; return its id."""
    package_id, now_ms = new_id(), SystemClock().wall_ms()
    device, person = "d" * 20, new_id()
    database = await Database.open(relay.config.database)
    async with database.begin() as tx:
        times = {"enrolled_ms": now_ms, "state_since_ms": now_ms}
        texts = {
            "identity_key": "",
            "sealing_key": "",
            "certificate_pem": "",
            "evidence_certificate_pem": "",
        }
        await tx.execute(insert(doorbells).values(device=device, **times, **texts))
        await tx.execute(
            insert(accounts).values(id=person, role="officer", name="Olga", created_ms=now_ms)
        )
        await tx.execute(
            insert(requests).values(
                id="request",
                agency="lakeland",
                account_id=person,
                cosigner_id=person,
                digest="",
                draft="{}",
                state="logged",
                drafted_ms=now_ms,
                changed_ms=now_ms,
            )
        )
        await packages.add_package(
            tx,
            packages.Package(
                package_id=package_id,
                request_id="request",
                device=device,
                agency="lakeland",
                size_bytes=len(data),
                part_bytes=len(data),
                part_sha256=(),
                upload_id=None,
                object_key=None if state == "announced" else f"lakeland/{package_id}",
                state=state,
                at_ms=now_ms,
                commitment=new_id(),
                announced_ms=now_ms,
            ),
        )
    await database.close()
    relay.packages.objects[f"lakeland/{package_id}"] = data
    return package_id


def told(*bodies: CustodyBody) -> list[str]:
    return [CustodyLeaf(body=body).encode().decode() for body in bodies]


async def state_of(folder: Path, package_id: str) -> str:
    database = await Database.open(load(folder / "relay.toml").database)
    try:
        async with database.read() as tx:
            package = await packages.find_package(tx, package_id)
            assert package is not None
            return package.state
    finally:
        await database.close()


async def test_sealed_packages_come_back(relay: LosableRelay, tmp_path: Path) -> None:
    package_id = await put_package(relay, b"sealed " * 1000)
    manifest = await relay.back_up(tmp_path / "backup")
    assert manifest.missing == []
    relay.lose_all()
    restored = await relay.restore(tmp_path / "backup", tmp_path / "new")
    assert relay.packages.objects == {f"lakeland/{package_id}": b"sealed " * 1000}
    assert restored.missing == []


async def test_packages_can_be_left_out(relay: LosableRelay, tmp_path: Path) -> None:
    await put_package(relay)
    await relay.back_up(tmp_path / "backup", has_packages=False)
    assert not (tmp_path / "backup" / "packages").exists()
    relay.lose_machine()
    assert (await relay.restore(tmp_path / "backup", tmp_path / "new")).missing == []
    relay.lose_all_but(tmp_path / "new")
    restored = await relay.restore(tmp_path / "backup", tmp_path / "newer")
    assert len(restored.missing) == 1


async def test_what_was_erased_after_the_backup_stays_erased(
    relay: LosableRelay, tmp_path: Path
) -> None:
    """R14: an owner who took a package back must not find it given again by a restore.

    Seen to come back with the look into the recovered log taken out.
    """
    package_id = await put_package(relay)
    await relay.publish("before")
    await relay.back_up(tmp_path / "backup")
    async with relay.running() as (database, logs):
        async with database.begin() as tx:
            pending = await CustodyEntries(LogEntries()).erasing(
                tx, package_id=package_id, why="withdrawn", now_ms=0
            )
            await packages.set_erasing(tx, package_id, from_state="delivered")
        await logs.logged(pending, timeout_s=PATIENCE_S)
    del relay.packages.objects[f"lakeland/{package_id}"]
    relay.lose_machine()
    restored = await relay.restore(tmp_path / "backup", tmp_path / "new")
    assert restored.put_back["custody"] == 1
    assert await state_of(tmp_path / "new", package_id) == "erasing"
    assert relay.packages.objects == {}
    async with relay.running(restored.config) as (database, logs), database.read() as tx:
        known = await CustodyEntries(LogEntries()).erasure(tx, package_id=package_id)
    assert known is not None


@pytest.mark.parametrize("state", ["announced", "uploading", "delivered"])
async def test_what_was_downloaded_after_the_backup_counts_as_downloaded(
    relay: LosableRelay, tmp_path: Path, state: str
) -> None:
    """R14: else an owner's wish would erase it here, and its agency would never be asked."""
    package_id = await put_package(relay, state=state)
    await relay.back_up(tmp_path / "backup")
    leaf = DownloadLeaf(agency="lakeland", package=package_commitment(package_id))
    await relay.publish(*told(leaf))
    relay.lose_machine()
    restored = await relay.restore(tmp_path / "backup", tmp_path / "new")
    assert restored.missing == []
    database = await Database.open(restored.config.database)
    async with database.read() as tx:
        package = await packages.find_package(tx, package_id)
    await database.close()
    assert package is not None
    assert (package.state, package.object_key) == ("downloaded", f"lakeland/{package_id}")


@pytest.mark.parametrize("state", ["announced", "uploading"])
async def test_what_came_and_was_erased_after_the_backup_stays_erased(
    relay: LosableRelay, tmp_path: Path, state: str
) -> None:
    package_id = await put_package(relay, state=state)
    package = package_commitment(package_id)
    await relay.back_up(tmp_path / "backup")
    await relay.publish(
        *told(
            DownloadLeaf(agency="lakeland", package=package),
            ErasedLeaf(package=package, why="withdrawn"),
        )
    )
    relay.lose_machine()
    restored = await relay.restore(tmp_path / "backup", tmp_path / "new")
    assert await state_of(tmp_path / "new", package_id) == "erasing"
    database = await Database.open(restored.config.database)
    async with database.read() as tx:  # so that it will be erased
        assert await CustodyEntries(LogEntries()).erasure(tx, package_id=package_id) is not None
    await database.close()


async def test_wishes_and_answers_of_after_the_backup_are_known_again(
    relay: LosableRelay, tmp_path: Path
) -> None:
    """Else the doorbell, which tells of the wish again, would have it logged with another end."""
    package_id = await put_package(relay)
    package = package_commitment(package_id)
    await relay.back_up(tmp_path / "backup")
    answer = DeletionAnswer(
        agency="lakeland",
        packages=[package],
        answer="kept",
        reason="A court's order.",
        answered_ms=7,
    )
    signed = SignedDeletionAnswer(answer=answer.encode().decode(), signature="AAAA")
    by_ms = ANSWER_WITHIN_MS + 5
    await relay.publish(
        *told(
            DeletionAskedLeaf(agency="lakeland", package=package, answer_by_ms=by_ms),
            DeletionAnsweredLeaf(signed=signed),
        )
    )
    relay.lose_machine()
    restored = await relay.restore(tmp_path / "backup", tmp_path / "new")
    database = await Database.open(restored.config.database)
    async with database.begin() as tx:
        assert await custody.find_deletion(tx, package_id) == custody.Deletion(
            package_id=package_id,
            agency="lakeland",
            asked_ms=5,
            answer_by_ms=by_ms,
            answer=signed,
        )
        await CustodyEntries(LogEntries()).deletion_asked(
            tx, agency="lakeland", package_id=package_id, now_ms=9
        )
        key = answered_key(signed)
        assert await rows.find_by_key(tx, "custody", key) is not None
        assert len(await LogEntries().added(tx, "custody", 0)) == 2
    await database.close()


@pytest.mark.parametrize("is_new", [True, False])
async def test_of_a_backup_that_fails_nothing_is_left(
    relay: LosableRelay, tmp_path: Path, is_new: bool
) -> None:
    """It would hold every key of the relay, and nobody would know of it."""
    package_id = await put_package(relay)
    relay.packages.objects[f"lakeland/{package_id}"] = b"not what was announced"
    out = tmp_path / "backup"
    if not is_new:
        out.mkdir()
    with pytest.raises(BackupError, match="bytes in the bucket"):
        await relay.back_up(out)
    assert out.exists() is not is_new
    assert is_new or not list(out.iterdir())
