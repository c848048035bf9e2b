"""The power goes between each two durable steps of a release: never two packages, none without its
proof, and none lost that could still be made.
"""

from collections.abc import AsyncIterator

import pytest

from firmware.decisions.intake import StatementIntake
from firmware.protocol.decisions import Revoke
from firmware.protocol.events import EventBody, PackageReady, ReleaseCommitted
from firmware.protocol.notes import ReleaseDone, StatementRefused
from firmware.protocol.packages import read_header
from firmware.protocol.releases import package_id_of
from tests.fakes.fuse import Fuse, FusedEvents, FusedOutgoing, FusedStore
from tests.fakes.intake import DeskRig, PowerCut, desk_rig, digest_of


class Doorbell:
    """The desk over one card, started anew after each power cut."""

    def __init__(self, rig: DeskRig) -> None:
        self.rig = rig
        self.fuse = Fuse()
        self._events = FusedEvents(self.fuse, self._on_publish)
        rig.store = FusedStore(rig.store, self.fuse)  # type: ignore[assignment]
        self.desk = self.start()

    def start(self) -> StatementIntake:
        self.desk = self.rig.desk(
            outgoing=FusedOutgoing(self.rig.folder / "outgoing", self.fuse),
            events=self._events,
        )
        return self.desk

    async def _on_publish(self, body: EventBody) -> None:
        self.rig.told.append(body)

    async def release(self, digest: str) -> None:
        """Say yes at the door, and let the relay log what it is told of."""
        await self.desk.confirm(digest)
        await self.log()

    async def log(self) -> None:
        """Let the relay log everything that it ever heard of, and say so."""
        for commitment in {one.commitment for one in self.rig.told_of(ReleaseCommitted)}:
            town = self.rig.world.town
            town.wind(ms=self.rig.now_ms - town.now_ms)
            await self.desk.on_release_logged(town.log_release(commitment))

    async def go_through(self, digest: str) -> bool:
        """Release; tell whether the power went."""
        try:
            await self.release(digest)
        except PowerCut:
            return True
        return False

    async def recover(self) -> None:
        """Start until it stays up; then the relay does its part."""
        self.fuse.set(None)
        self.start()
        await self.rig.promises.flush()
        await self.desk.resume()
        await self.desk.end_what_is_over()
        await self.log()


@pytest.fixture
async def rig(tmp_path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path) as rig:
        yield rig


async def steps_of_a_release(rig: DeskRig) -> list[str]:
    doorbell = Doorbell(rig)
    digest = await rig.ask(doorbell.desk, rig.sign())
    doorbell.fuse.set(None)
    await doorbell.release(digest)
    return list(doorbell.fuse.steps)


async def test_these_are_the_durable_steps_of_a_release(rig):
    assert await steps_of_a_release(rig) == [
        "confirm",
        "commit_to",
        "tell",  # ReleaseCommitted
        "set_proof",
        "spend",
        "put",
        "finish",  # done, and promised to be told
        "tell",  # PackageReady
        "tell",  # the owner's note
    ]


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("at", range(9))
async def test_a_power_cut_anywhere_leads_to_the_one_package(rig, at, is_after):
    doorbell = Doorbell(rig)
    signed = rig.sign()
    digest = await rig.ask(doorbell.desk, signed)
    doorbell.fuse.set(at, is_after=is_after)
    assert await doorbell.go_through(digest)
    kept = rig.kept()
    await doorbell.recover()
    if (at, is_after) == (0, False):  # the yes itself never reached the card
        assert rig.kept() == {}
        await doorbell.release(digest)
    check_the_one_package(rig, digest, signed)
    assert not kept or kept == rig.kept(), "sealed again: the relay would refuse other bytes"
    await doorbell.recover()
    check_the_one_package(rig, digest, signed)


@pytest.mark.parametrize("second", range(6))
@pytest.mark.parametrize("first", range(1, 9))
async def test_so_does_a_second_one_while_the_first_is_made_good(rig, first, second):
    doorbell = Doorbell(rig)
    signed = rig.sign()
    digest = await rig.ask(doorbell.desk, signed)
    doorbell.fuse.set(first)
    assert await doorbell.go_through(digest)
    doorbell.fuse.set(second)
    doorbell.start()
    try:
        await doorbell.desk.resume()
        await doorbell.log()
    except PowerCut:
        pass
    await doorbell.recover()
    check_the_one_package(rig, digest, signed)


@pytest.mark.parametrize("at", range(3, 6))
async def test_with_time_and_register_behind_it_is_only_later(rig, at):
    """After a power cut a doorbell often knows neither; seen to fail with no reason LATER."""
    doorbell = Doorbell(rig)
    signed = rig.sign()
    digest = await rig.ask(doorbell.desk, signed)
    doorbell.fuse.set(at)
    assert await doorbell.go_through(digest)
    rig.is_time_known = False
    await doorbell.recover()
    assert rig.kept() == {}
    rig.is_time_known = True
    await doorbell.desk.end_what_is_over()
    await doorbell.log()
    check_the_one_package(rig, digest, signed)


@pytest.mark.parametrize("at", range(1, 9))
async def test_what_was_taken_back_after_the_power_cut_does_not_leave(rig, at):
    doorbell = Doorbell(rig)
    signed = rig.sign()
    digest = await rig.ask(doorbell.desk, signed)
    doorbell.fuse.set(at)
    assert await doorbell.go_through(digest)
    doorbell.fuse.set(None)
    doorbell.start()
    await doorbell.desk.on_statement(rig.seal(rig.sign(Revoke(grant_digest=digest))))
    await doorbell.recover()
    assert rig.kept() == {}


def check_the_one_package(rig: DeskRig, digest: str, signed: bytes) -> None:
    (package_id,) = rig.kept()
    assert package_id == package_id_of(digest)
    assert digest == digest_of(signed)
    header, _ = read_header(rig.kept()[package_id])
    assert header.package_id == package_id
    statement = rig.store.statement(digest)
    assert statement is not None
    assert statement.state == "done"
    assert statement.release_proof is not None, "released without its proof"
    assert digest in rig.store.spent()
    announced = rig.outgoing.announced(package_id)
    assert rig.told_of(PackageReady) == [announced]
    assert [type(note) for note in rig.notes()].count(ReleaseDone) == 1
    assert not any(isinstance(note, StatementRefused) for note in rig.notes())
