"""A confirmed grant leads to one package: also when it is replayed, doubled or cut off midway."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from firmware.consent.facts import Refusal
from firmware.protocol.commands import Accepted
from firmware.protocol.encoding import decode_canonical
from firmware.protocol.events import EventBody, PackageReady, Paired
from firmware.protocol.grants import SignedStatement
from firmware.protocol.notes import ConfirmationWanted, ReleaseDone, StatementRefused
from firmware.protocol.packages import read_header
from firmware.statements import StatementDesk, package_id_of
from tests.fakes.consent_world import MINUTE_MS
from tests.fakes.desk import DeskRig, DyingOutgoing, PowerCut, desk_rig


@pytest.fixture
async def rig(tmp_path) -> AsyncIterator[DeskRig]:
    async with desk_rig(tmp_path) as rig:
        yield rig


async def asked(rig: DeskRig, desk: StatementDesk, signed: bytes) -> str:
    """Bring a statement to the desk; return its digest once it waits."""
    await rig.publish(desk)
    assert await desk.on_statement(rig.seal(signed)) == Accepted()
    return desk.waiting()[-1].statement.digest


def signed_again(rig: DeskRig, signed: bytes) -> bytes:
    """The very same text with other assertion bytes."""
    text = decode_canonical(SignedStatement, signed).statement
    return rig.world.sign(decode_canonical(type(rig.world.statement()), text.encode()))


def kept(rig: DeskRig) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in (rig.folder / "outgoing").glob("*.bin")}


async def test_nothing_is_sealed_before_it_is_confirmed_and_one_package_after(rig):
    desk = rig.desk()
    digest = await asked(rig, desk, rig.sign())
    assert kept(rig) == {}
    assert await desk.confirm(digest) is None
    assert list(kept(rig)) == [package_id_of(digest)]
    assert len(rig.told_of(PackageReady)) == 1
    assert [type(note) for note in rig.notes()][-2:] == [ConfirmationWanted, ReleaseDone]


async def test_a_statement_is_asked_for_once_however_often_it_comes(rig):
    desk, signed = rig.desk(), rig.sign()
    digest = await asked(rig, desk, signed)
    for again in (signed, signed_again(rig, signed), signed):
        await desk.on_statement(rig.seal(again))
    assert [one.statement.digest for one in desk.waiting()] == [digest]
    assert sum(isinstance(note, ConfirmationWanted) for note in rig.notes()) == 1


async def test_a_released_grant_is_spent_whatever_bytes_carry_it_and_after_a_restart(rig):
    desk, signed = rig.desk(), rig.sign()
    digest = await asked(rig, desk, signed)
    await desk.confirm(digest)
    before = kept(rig)
    for later in (desk, rig.desk()):
        for again in (signed, signed_again(rig, signed)):
            await later.on_statement(rig.seal(again))
        assert later.waiting() == []
        assert isinstance(await later.confirm(digest), Refusal)
        await later.resume()
    assert kept(rig) == before
    assert len(rig.told_of(PackageReady)) == 1


async def test_two_confirmations_at_once_release_once(rig):
    desk = rig.desk()
    digest = await asked(rig, desk, rig.sign())
    answers = await asyncio.gather(*(desk.confirm(digest) for _ in range(5)))
    assert answers.count(None) == 1
    assert len(rig.told_of(PackageReady)) == 1


async def test_a_refused_statement_never_waits_again(rig):
    desk, signed = rig.desk(), rig.sign()
    digest = await asked(rig, desk, signed)
    assert desk.refuse(digest)
    await rig.desk().on_statement(rig.seal(signed_again(rig, signed)))
    assert rig.desk().waiting() == []
    assert isinstance(await rig.desk().confirm(digest), Refusal)
    assert kept(rig) == {}


async def test_a_confirmation_counts_for_its_own_statement_only(rig):
    desk = rig.desk()
    grant = await asked(rig, desk, rig.sign())
    rig.now_ms += 1
    addition = await asked(rig, desk, rig.sign(rig.newcomer()))
    assert len(desk.waiting()) == 2
    assert await desk.confirm(addition) is None
    assert kept(rig) == {}
    assert [one.statement.digest for one in desk.waiting()] == [grant]


async def test_a_confirmation_after_ten_minutes_releases_nothing(rig):
    desk = rig.desk()
    digest = await asked(rig, desk, rig.sign())
    rig.now_ms += 10 * MINUTE_MS + 1
    refusal = await desk.confirm(digest)
    assert isinstance(refusal, Refusal)
    assert kept(rig) == {}


@pytest.mark.parametrize("minutes_off", [1, 60])
async def test_a_package_that_was_kept_before_the_power_went_is_the_release(rig, minutes_off):
    digest = await asked(rig, rig.desk(), rig.sign())
    dying = rig.desk(outgoing=DyingOutgoing(rig.folder / "outgoing", is_kept=True))
    with pytest.raises(PowerCut):
        await dying.confirm(digest)
    before = kept(rig)
    rig.now_ms += minutes_off * MINUTE_MS
    for _ in range(2):
        await rig.desk().resume()
    assert kept(rig) == before, "sealed again: the relay would refuse other bytes for this id"
    assert list(before) == [package_id_of(digest)]
    assert [type(note) for note in rig.notes()].count(ReleaseDone) == 1
    assert not any(isinstance(note, StatementRefused) for note in rig.notes())


async def test_a_release_that_the_power_cut_short_goes_on_to_the_same_package_id(rig):
    digest = await asked(rig, rig.desk(), rig.sign())
    with pytest.raises(PowerCut):
        await rig.desk(outgoing=DyingOutgoing(rig.folder / "outgoing", is_kept=False)).confirm(
            digest
        )
    assert kept(rig) == {}
    for _ in range(2):
        await rig.desk().resume()
    (sealed,) = kept(rig).values()
    assert read_header(sealed)[0].package_id == package_id_of(digest)
    assert len(rig.told_of(PackageReady)) == 1


async def test_a_release_that_was_cut_short_isnt_taken_up_after_its_ten_minutes(rig):
    digest = await asked(rig, rig.desk(), rig.sign())
    with pytest.raises(PowerCut):
        await rig.desk(outgoing=DyingOutgoing(rig.folder / "outgoing", is_kept=False)).confirm(
            digest
        )
    rig.now_ms += 11 * MINUTE_MS
    await rig.desk().resume()
    assert kept(rig) == {}
    assert isinstance(rig.notes()[-1], StatementRefused)


async def test_an_owner_who_was_stored_before_the_power_went_isnt_told_as_refused(rig):
    newcomer = rig.newcomer()
    digest = await asked(rig, rig.desk(), rig.sign(newcomer))

    async def die(body: EventBody) -> None:
        raise PowerCut

    with pytest.raises(PowerCut):
        await rig.desk(tell=die).confirm(digest)
    rig.store.move_statement(digest, from_state="done", to="confirmed")  # as it lay a moment before
    rig.now_ms += 11 * MINUTE_MS
    await rig.desk().resume()
    credential_id = newcomer.owner.passkey.credential_id
    assert rig.told_of(Paired) == [
        Paired(pairing_id=newcomer.pairing_id, credential_id=credential_id)
    ]
    assert not any(isinstance(note, StatementRefused) for note in rig.notes())


async def test_one_statement_that_fails_doesnt_keep_the_doorbell_from_starting(rig):
    digest = await asked(rig, rig.desk(), rig.sign())
    dying = DyingOutgoing(rig.folder / "outgoing", is_kept=False)
    with pytest.raises(PowerCut):
        await rig.desk(outgoing=dying).confirm(digest)
    await rig.desk(outgoing=dying).resume()
    await rig.desk().resume()
    assert list(kept(rig)) == [package_id_of(digest)]
